/* Zoom, pan and values for the figures of a report; without this script the page
   shows them as they are. With a mouse: point, drag, double-click or turn the
   wheel with Ctrl. With keys: arrows move the pointer, + and - zoom there, 0
   shows the whole figure. */
(() => {
  const WHOLE = 1e4; /* width and height of a figure, in the units of places */
  const NEAR = 0.05; /* of the width of a panel: beyond it nothing is told */
  const MOST = 8; /* values told at once */
  const STEP = 0.02; /* of the frame, by which an arrow moves the pointer */
  const HELP = 'arrows move the pointer, plus and minus zoom, 0 shows all';
  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  function told(x) {
    if (x === null) return 'none';
    const size = Math.abs(x);
    const short = size && (size < 1e-3 || size >= 1e6) ? x.toExponential() : x;
    return `${short}`.replace(/-/g, '−');
  }

  function make(tag, name, where, properties = {}) {
    const element = document.createElement(tag);
    element.className = name;
    where.append(Object.assign(element, properties));
    return element;
  }

  /* The point of a series that is nearest to (u, v); for a line along u alone. */
  function nearest(series, u, v, width) {
    let best = 0, least = Infinity;
    for (let i = 0; i < series.u.length; i++) {
      const du = Math.abs(series.u[i] - u);
      const dv = Math.abs(series.v[i] - v);
      const far = series.spread ? Math.hypot(du, dv) : du + 1e-3 * dv;
      if (far < least) [best, least] = [i, far];
    }
    const i = best;
    return {
      near: least < NEAR * width || series.spread === 'cells',
      name: series.name, color: series.color,
      u: series.u[i], v: series.v[i], x: series.x[i], y: series.y[i],
      low: series.low?.[i], high: series.high?.[i], z: series.z?.[i],
    };
  }

  /* What is under a place of the figure: {x, y, points} or null. */
  function under(panels, u, v) {
    const within = panels.filter(({box: [left, top, right, bottom]}) =>
      left <= u && u <= right && top <= v && v <= bottom);
    if (!within.length) return null;
    const points = within.flatMap(panel => panel.series.map(
      series => nearest(series, u, v, panel.box[2] - panel.box[0])));
    const near = points.filter(point => point.near);
    near.sort((a, b) => Math.abs(a.v - v) - Math.abs(b.v - v));
    return {x: within[0].x, y: within[0].y, points: near.slice(0, MOST)};
  }

  function tell(readout, found) {
    readout.replaceChildren();
    readout.hidden = !found?.points.length;
    if (readout.hidden) return;
    const x = found.points[0].x;
    make('b', '', readout, {textContent: `${found.x || 'x'} = ${told(x)}`});
    for (const point of found.points) {
      const line = make('span', '', readout);
      const color = point.color ?? 'transparent';
      make('i', '', line).style.background = color;
      const values = [told(point.y)];
      if (point.low != null && point.low !== point.high) {
        values.push(`[${told(point.low)}, ${told(point.high)}]`);
      }
      if (point.z !== undefined) values.push(`value ${told(point.z)}`);
      if (point.x !== x) values.push(`at ${told(point.x)}`);
      const name = point.name || found.y || 'y';
      line.append(`${name}: ${values.join(' ')}`);
    }
  }

  function enliven(figure) {
    const image = figure.querySelector('img');
    const panels = JSON.parse(figure.dataset.values || '[]');
    const frame = make('div', 'frame', figure, {tabIndex: 0});
    image.closest('a').replaceWith(frame);
    frame.setAttribute('role', 'application');
    frame.setAttribute('aria-label', `Figure: ${HELP}. ${image.alt}`);
    frame.append(image);
    image.draggable = false;
    const marks = make('div', 'marks', frame);
    const readout = make('output', 'readout', frame, {hidden: true});
    const buttons = make('div', 'buttons', figure);
    frame.after(buttons);

    /* The place p of the frame shows the place (p - x) / k of the figure. */
    const view = {k: 1, x: 0, y: 0, p: 0.5, q: 0.5};

    function draw(pointed = true) {
      image.style.transform =
        `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.k})`;
      frame.classList.toggle('zoomed', view.k > 1);
      const u = (view.p - view.x) / view.k * WHOLE;
      const v = (view.q - view.y) / view.k * WHOLE;
      const found = pointed ? under(panels, u, v) : null;
      marks.replaceChildren();
      for (const point of found?.points ?? []) {
        const mark = make('span', '', marks);
        mark.style.left = `${(view.x + point.u / WHOLE * view.k) * 100}%`;
        mark.style.top = `${(view.y + point.v / WHOLE * view.k) * 100}%`;
      }
      if (pointed) {
        const cross = make('span', 'cross', marks);
        cross.style.left = `${view.p * 100}%`;
        cross.style.top = `${view.q * 100}%`;
      }
      tell(readout, found);
      readout.classList.toggle('left', view.p > 0.5);
    }

    function zoom(factor) {
      const k = clamp(view.k * factor, 1, 8);
      const u = (view.p - view.x) / view.k, v = (view.q - view.y) / view.k;
      view.k = k;
      pan(view.p - k * u - view.x, view.q - k * v - view.y);
    }

    function pan(dx, dy) {
      view.x = clamp(view.x + dx, 1 - view.k, 0);
      view.y = clamp(view.y + dy, 1 - view.k, 0);
      draw();
    }

    /* Moves the pointer, and what is shown where it would leave the frame. */
    function step(dx, dy) {
      const p = view.p + dx * STEP, q = view.q + dy * STEP;
      [view.p, view.q] = [clamp(p, 0, 1), clamp(q, 0, 1)];
      pan(view.p - p, view.q - q);
    }

    function point(event) {
      const box = frame.getBoundingClientRect();
      view.p = clamp((event.clientX - box.left) / box.width, 0, 1);
      view.q = clamp((event.clientY - box.top) / box.height, 0, 1);
    }

    const actions = {
      '+': () => zoom(1.5), '=': () => zoom(1.5), '-': () => zoom(1 / 1.5),
      '0': () => zoom(0), 'Escape': () => draw(false),
      'ArrowLeft': () => step(-1, 0), 'ArrowRight': () => step(1, 0),
      'ArrowUp': () => step(0, -1), 'ArrowDown': () => step(0, 1),
    };
    frame.addEventListener('keydown', event => {
      const chosen = actions[event.key];
      if (!chosen || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      chosen();
    });
    const names = [['+', 'Zoom in'], ['-', 'Zoom out'], ['0', 'Whole figure']];
    for (const [key, name] of names) {
      const text = {'+': '+', '-': '−', '0': '1 : 1'}[key];
      make('button', '', buttons, {
        type: 'button', textContent: text, ariaLabel: name,
        onclick: actions[key],
      });
    }

    frame.addEventListener('pointermove', event => {
      const {p, q} = view;
      point(event);
      if (event.buttons && view.k > 1) pan(view.p - p, view.q - q);
      else draw();
    });
    frame.addEventListener('pointerdown', event => { point(event); draw(); });
    frame.addEventListener('pointerleave', () => {
      if (document.activeElement !== frame) draw(false);
    });
    frame.addEventListener('focus', () => draw());
    frame.addEventListener('blur', () => draw(false));
    frame.addEventListener('dblclick', () => zoom(2));
    frame.addEventListener('wheel', event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      point(event);
      zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
    }, {passive: false});
  }

  document.querySelectorAll('figure').forEach(enliven);
})();
