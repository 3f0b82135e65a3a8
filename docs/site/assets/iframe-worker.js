/* Search from file://, where browsers start no Web Worker: the same script in
   an iframe. After the MIT-licensed package iframe-worker by Martin Donath. */
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement('iframe');
      this.frame.hidden = true;
      this.frame.title = 'search';
      document.body.appendChild(this.frame);
      const inner = this.frame.contentDocument;
      inner.open();
      inner.write(`<!DOCTYPE html><html lang="en"><head><title>search</title>
        </head><body><script>
        postMessage = data => parent.postMessage(data, '*');
        importScripts = (...urls) => urls.reduce((before, url) => before.then(
          () => new Promise(done => {
            const script = document.createElement('script');
            script.src = url;
            script.onload = done;
            document.body.appendChild(script);
          })), Promise.resolve());
        <\/script><script src="${url}"><\/script></body></html>`);
      inner.close();
      const there = this.frame.contentWindow;
      this.ready = new Promise(done => { there.onload = done; });
      addEventListener('message', event => {
        if (event.source !== there) return;
        const copy = new MessageEvent('message', {data: event.data});
        this.dispatchEvent(copy);
        if (this.onmessage) this.onmessage(copy);
      });
    }

    postMessage(data) {
      const there = this.frame.contentWindow;
      this.ready.then(() => there.dispatchEvent(new there.MessageEvent(
        'message', {data: structuredClone(data)})));
    }

    terminate() { this.frame.remove(); }
  };
}
