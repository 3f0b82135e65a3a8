/* Only what the Markdown marked as mathematics is typeset; glyphs are SVG, so
   that no font is fetched. */
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
