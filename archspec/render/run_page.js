"use strict";
// While the run goes on, the page is read again every second or two. From a server it is fetched and
// its parts are exchanged, so that nothing jumps; a page that is a file can only be loaded again.
(function watch() {
  const main = document.querySelector("main");
  if (main.dataset.state !== "training") return;
  const later = () => setTimeout(watch, 1500);
  if (location.protocol === "file:") {
    setTimeout(() => { if (!document.hidden) location.reload(); else later(); }, 3000);
    return;
  }
  fetch(location.pathname, { cache: "no-store" })
    .then((answer) => answer.ok ? answer.text() : Promise.reject(answer.status))
    .then((text) => {
      const fresh = new DOMParser().parseFromString(text, "text/html");
      document.title = fresh.title;
      main.dataset.state = fresh.querySelector("main").dataset.state;
      for (const part of fresh.querySelectorAll("main [data-part]")) {
        const old = main.querySelector(`[data-part="${part.dataset.part}"]`);
        if (!old) { location.reload(); return; }
        if (old.innerHTML !== part.innerHTML) old.replaceWith(document.adoptNode(part));
      }
    })
    .catch(() => {})
    .finally(later);
})();
