"use strict";
// While the run goes on, the page is read again every second or two. From a server it is fetched and
// its parts are exchanged, so that nothing jumps; a page that is a file can only be loaded again,
// which waits for a reader who selects text or is at the keyboard.
(() => {
  const main = document.querySelector("main");
  let failures = 0, typed = 0;
  addEventListener("keydown", () => { typed = Date.now(); });

  function news() {
    const silent = Date.now() / 1000 - main.dataset.written;
    let text = "";
    if (main.dataset.state === "training" && silent > main.dataset.patience) {
      const minutes = Math.floor(silent / 60), hours = Math.floor(minutes / 60);
      const time = hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
      text = `No news for ${time}: the run may have been stopped. archspec fit --resume goes on with it.`;
    }
    const place = main.querySelector("[role=status]");
    if (place.textContent !== text) place.textContent = text;
  }

  function exchange(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    document.title = fresh.title;
    Object.assign(main.dataset, fresh.querySelector("main").dataset);
    for (const part of fresh.querySelectorAll("main [data-part]")) {
      const old = main.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!old) { location.reload(); return; }
      if (old.innerHTML === part.innerHTML) continue;
      const left = old.querySelector(".scroll")?.scrollLeft;
      old.replaceWith(document.adoptNode(part));
      if (left) part.querySelector(".scroll")?.scrollTo(left, 0);
    }
  }

  function watch() {
    news();
    if (main.dataset.state !== "training") return;
    if (location.protocol === "file:") {
      const reading = document.hidden || Date.now() < typed + 10000 || !getSelection().isCollapsed;
      if (reading) later(); else location.reload();
      return;
    }
    fetch(location.pathname, { cache: "no-store" })
      .then((answer) => answer.ok ? answer.text() : Promise.reject(answer.status))
      .then((text) => { failures = 0; exchange(text); })
      .catch(() => { failures += 1; }) // perhaps the run has ended, and its server with it
      .finally(later);
  }

  function later() {
    const usual = location.protocol === "file:" ? 3000 : 1500;
    setTimeout(watch, Math.min(usual * 2 ** failures, 60000));
  }

  news();
  if (main.dataset.state === "training") later();
})();
