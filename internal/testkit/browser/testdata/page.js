const $ = id => document.getElementById(id);
$('language').textContent = navigator.language + ', ' + (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
$('open').addEventListener('click', () => $('dialog').showModal());
$('choose').addEventListener('click', () => $('file').click());
$('dialog').addEventListener('close', async () => {
  const f = $('file').files[0];
  $('said').textContent = `${$('name').value}, ${$('format').value}, ${$('protect').checked}, ${f ? f.name + ': ' + await f.text() : 'no file'}`;
});
for (const b of document.querySelectorAll('td button')) {
  b.addEventListener('click', () => { $('said').textContent = 'Deleted ' + b.closest('tr').cells[0].textContent; });
}
setTimeout(() => { $('late').disabled = false; $('why').textContent = ''; }, 300);
