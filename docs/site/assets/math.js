/* Only what the Markdown marked as mathematics is typeset, and MathJax is loaded
   only where there is some; glyphs are SVG, so that no font is fetched. */
if (document.querySelector('.arithmatex')) {
  window.MathJax = {
    tex: {
      inlineMath: [['\\(', '\\)']],
      displayMath: [['\\[', '\\]']],
      processEscapes: true,
    },
    options: {
      ignoreHtmlClass: '.*|',
      processHtmlClass: 'arithmatex',
      enableMenu: false,
    },
  };
  const script = document.createElement('script');
  script.src = new URL('mathjax/tex-svg.js', document.currentScript.src);
  document.head.append(script);
}
