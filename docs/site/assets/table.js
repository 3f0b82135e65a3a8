/* The table of claims: headings are buttons that sort, fields above filter.
   All of it is reached with Tab and worked with Enter, Space and arrows. */
(() => {
  const table = document.querySelector('table.sortable');
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, i) => row.cells[i].dataset.sort ?? row.cells[i].innerText;
  const compare = new Intl.Collator('en', {numeric: true}).compare;

  heads.forEach((head, i) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const down = head.ariaSort === 'ascending';
      heads.forEach(h => h.removeAttribute('aria-sort'));
      head.ariaSort = down ? 'descending' : 'ascending';
      rows.sort((a, b) => compare(key(a, i), key(b, i)) * (down ? -1 : 1));
      body.append(...rows);
    });
  });

  const form = document.querySelector('.filters');
  const told = form.querySelector('output');
  const filter = () => {
    const wanted = new FormData(form);
    const text = wanted.get('text').toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ['experiment', 'kind', 'verdict'].every(
        name => !wanted.get(name) || row.dataset[name] === wanted.get(name));
      row.hidden = !fits || !row.textContent.toLowerCase().includes(text);
      shown += !row.hidden;
    }
    told.value = `${shown} of ${rows.length} claims`;
  };
  form.addEventListener('input', filter);
  form.addEventListener('submit', event => event.preventDefault());
  filter();
})();
