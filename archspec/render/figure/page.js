"use strict";
{
  const picture = document.querySelector("main svg");
  const shown = document.querySelector("output");
  const natural = picture.viewBox.baseVal;
  const [least, most, step] = [0.05, 16, 1.25];
  let zoom = 1;

  const resize = (size) => {
    zoom = Math.min(most, Math.max(least, size));
    picture.style.width = `${natural.width * zoom}px`;
    picture.style.height = `${natural.height * zoom}px`;
    shown.value = `${Math.round(zoom * 100)} %`;
  };
  const widest = () => document.documentElement.clientWidth / natural.width;
  const actions = {
    "+": () => resize(zoom * step),
    "-": () => resize(zoom / step),
    0: () => resize(widest()),
    1: () => resize(1),
  };
  actions["="] = actions["+"];

  for (const button of document.querySelectorAll("button[data-key]"))
    button.addEventListener("click", () => actions[button.dataset.key]());
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  });
  resize(Math.min(1, widest()));
}
