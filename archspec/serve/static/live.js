// The live page: the network of the text in the editor, which is the file's text until somebody
// types. The server tells each change of the file; an unsaved text is sent to it to be looked at.
import {
  Annotation, Decoration, EditorState, EditorView, HighlightStyle, MergeView, StateEffect,
  StateField, WidgetType, autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap,
  completionKeymap, defaultKeymap, drawSelection, foldGutter, foldKeymap, highlightActiveLine,
  highlightActiveLineGutter, highlightSelectionMatches, highlightSpecialChars, history,
  historyKeymap, hoverTooltip, indentUnit, indentWithTab, isolateHistory, keymap, lineNumbers,
  lintGutter, lintKeymap, search, searchKeymap, setDiagnostics, snippet, syntaxHighlighting, tags,
  yaml,
} from "./codemirror.js";

const TYPING = 120; // milliseconds without a key after which a text is looked at
const AGAIN = 1000; // milliseconds after which a server that refused is asked again

const nonce = document.querySelector('meta[name="csp-nonce"]').content;
const at = (name) => document.getElementById(`live-${name}`);

const view = { variant: null, variables: {} }; // what this browser chose to see
let file = null; // the file as the server last told it
let picture = { said: {}, page: null, key: "", stale: false }; // of the file
let base = { version: null, text: "" }; // the file as the text in the editor began
let shownKey = "";
let events = null;
let saving = false;

// The editor

const fromServer = Annotation.define();

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--live-key)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--live-quiet)", fontStyle: "italic" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--live-text)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "var(--live-value)" },
  { tag: [tags.keyword, tags.labelName, tags.typeName], color: "var(--live-value)" },
  { tag: [tags.separator, tags.punctuation, tags.meta], color: "var(--live-quiet)" },
]);

const named = (name) => EditorView.contentAttributes.of({ "aria-label": name, tabindex: "0" });

// Remarks behind the steps: output shape, parameters, MACs. They move with the text until the next.
class Remark extends WidgetType {
  constructor(words) { super(); this.words = words; }
  eq(other) { return other.words === this.words; }
  toDOM() { return element("span", this.words, "live-hint"); }
}

const setHints = StateEffect.define();

const hintField = StateField.define({
  create: () => Decoration.none,
  update(shown, transaction) {
    shown = shown.map(transaction.changes);
    for (const effect of transaction.effects) if (effect.is(setHints)) shown = effect.value;
    return shown;
  },
  provide: (field) => EditorView.decorations.from(field),
});

function showHints(hints) {
  const end = editor.state.doc.length;
  const remarks = hints.map(({ at: place, text: words }) =>
    Decoration.widget({ widget: new Remark(words), side: 1 }).range(Math.min(place, end)));
  editor.dispatch({ effects: setHints.of(Decoration.set(remarks, true)) });
}

function editorState(text, readOnly) {
  return EditorState.create({
    doc: text,
    extensions: [
      EditorView.cspNonce.of(nonce),
      lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), highlightSpecialChars(),
      history(), foldGutter(), drawSelection(), bracketMatching(), closeBrackets(),
      highlightSelectionMatches(), search({ top: true }), lintGutter(), hintField,
      yaml(), syntaxHighlighting(colours), indentUnit.of("  "),
      EditorState.readOnly.of(readOnly),
      named("Text of the spec"),
      autocompletion({ override: [completions], icons: false }),
      hoverTooltip(explanation),
      keymap.of([
        { key: "Mod-s", run: () => { save(); return true; }, preventDefault: true },
        ...closeBracketsKeymap, ...completionKeymap, ...lintKeymap, ...searchKeymap,
        ...historyKeymap, ...foldKeymap, ...defaultKeymap, indentWithTab,
      ]),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged) return;
        if (!update.transactions.some((each) => each.annotation(fromServer))) look();
        tellState();
      }),
    ],
  });
}

const editor = new EditorView({ parent: at("editor"), state: editorState("", true) });

const text = () => editor.state.doc.toString();
const isDirty = () => base.version !== null && text() !== base.text;

// Replaces only what differs, so that the cursor, the folds and the view stay.
function replaceText(fresh) {
  const old = text();
  if (old === fresh) return;
  let start = 0;
  const most = Math.min(old.length, fresh.length);
  while (start < most && old[start] === fresh[start]) start++;
  let end = 0;
  while (end < most - start && old[old.length - 1 - end] === fresh[fresh.length - 1 - end]) end++;
  editor.dispatch({
    changes: { from: start, to: old.length - end, insert: fresh.slice(start, fresh.length - end) },
    annotations: [fromServer.of(true), isolateHistory.of("full")], // undo brings the old text back
  });
}

// Questions to the server

async function post(end, data, signal) {
  const answer = await fetch(end, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(data),
    signal,
  });
  const type = answer.headers.get("content-type") || "";
  if (!type.startsWith("application/json")) throw new Error(await answer.text());
  return { status: answer.status, data: await answer.json() };
}

// One question at a time: while one is under way, only the latest of those that follow is kept.
let looking = false;
let lookAgain = false;
let lookTimer = 0;

function look(delay = TYPING) {
  clearTimeout(lookTimer);
  lookTimer = setTimeout(lookNow, delay);
}

async function lookNow() {
  if (looking) { lookAgain = true; return; }
  if (!isDirty()) { present(picture); return; }
  looking = true;
  const asked = text();
  try {
    const { data } = await post("look", { text: asked, view });
    if (asked === text()) present({ ...data, stale: data.page === null });
    else lookAgain = true;
  } catch {
    // The server is gone; the events tell when it is back, and the text is looked at then.
  } finally {
    looking = false;
    if (lookAgain) { lookAgain = false; look(0); }
  }
}

async function completions(context) {
  if (!context.explicit && !context.matchBefore(/[\w=.:{[,-] ?$/)) return null;
  const asked = new AbortController();
  context.addEventListener("abort", () => asked.abort());
  let found;
  try {
    const doc = context.state.doc.toString();
    const { data } = await post("help", { ask: "complete", at: context.pos, text: doc, variant: view.variant }, asked.signal);
    found = data.said.completions || [];
  } catch {
    return null;
  }
  if (!found.length || context.aborted) return null;
  const from = found[0].from;
  return {
    from,
    validFor: /^\w*$/,
    options: found.filter((each) => each.from === from).map((each, index) => ({
      label: each.label,
      detail: each.detail,
      info: each.about ? () => markdown(each.about) : undefined,
      apply: each.snippet ? snippet(each.text) : each.text,
      boost: 50 - Math.min(index, 99), // likeliest first, as the server has them
    })),
  };
}

async function explanation(asking, place) {
  let found;
  try {
    const doc = asking.state.doc.toString();
    found = (await post("help", { ask: "hover", at: place, text: doc, variant: view.variant })).data.said.hover;
  } catch {
    return null;
  }
  if (!found) return null;
  return { pos: found.from, end: found.to, above: true, create: () => ({ dom: markdown(found.markdown) }) };
}

// Explanations are Markdown with code, bold and tables; nothing of them is read as HTML.
function markdown(source) {
  const box = element("div", "", "live-help");
  for (const [index, block] of source.split(/^```\w*\n([\s\S]*?)^```$/m).entries()) {
    if (index % 2) {
      box.append(element("pre", block.trimEnd()));
      continue;
    }
    for (const paragraph of block.split(/\n{2,}/)) {
      const lines = paragraph.trim().split("\n");
      if (lines[0].startsWith("|")) box.append(markdownTable(lines));
      else if (lines[0]) box.append(withSpans(element("p", ""), lines.join(" ")));
    }
  }
  return box;
}

function markdownTable(lines) {
  const table = element("table", "");
  for (const line of lines.filter((each) => !/^[|\s:-]+$/.test(each))) {
    const row = table.insertRow();
    for (const cell of line.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/))
      withSpans(row.insertCell(), cell.trim().replaceAll("\\|", "|"));
  }
  return table;
}

function withSpans(holder, words) {
  for (const piece of words.split(/(\*\*[^*]+\*\*|`[^`]+`)/)) {
    if (/^`.+`$/.test(piece)) holder.append(element("code", piece.slice(1, -1)));
    else if (/^\*\*.+\*\*$/.test(piece)) holder.append(withSpans(element("b", ""), piece.slice(2, -2)));
    else holder.append(piece);
  }
  return holder;
}

function element(tag, content, className = "") {
  const made = document.createElement(tag);
  made.textContent = content;
  made.className = className;
  return made;
}

// What the server tells

function connect() {
  if (events) events.close();
  events = new EventSource(`events?view=${encodeURIComponent(JSON.stringify(view))}`);
  const own = events;
  let first = true;
  own.onmessage = (message) => {
    take(JSON.parse(message.data));
    if (first && isDirty()) look(0);
    first = false;
  };
  own.onerror = () => {
    if (own !== events) return;
    offline = true;
    tellState();
    if (own.readyState === EventSource.CLOSED) setTimeout(() => own === events && connect(), AGAIN);
  };
}

// Browsers have six connections to a server, for all their windows: only those in sight hold one.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") {
    connect();
  } else {
    events.close();
    events = null;
  }
});

let offline = false;

function take(state) {
  const isBack = offline;
  offline = false;
  const begins = file === null;
  file = state.file;
  // A page that this connection has sent before is not sent again.
  const page = state.page === null && state.key === picture.key ? picture.page : state.page;
  picture = { said: state.said, page, key: state.key, stale: state.stale };
  const name = file.name.split(/[/\\]/).at(-1);
  document.title = `${name} - archspec`;
  at("name").textContent = name;
  at("name").title = file.name;
  if (begins) editor.setState(editorState(file.text ?? "", file.read_only));
  if (begins || !isDirty() || text() === file.text) {
    if (file.text !== null) {
      base = { version: file.version, text: file.text };
      replaceText(file.text);
    } else if (file.version === "missing" || begins) {
      base = { version: file.version, text: begins ? "" : base.text };
    }
    present(picture);
  } else if (isBack) {
    look(0);
  }
  tellState();
}

function present({ said, page, key, stale }) {
  if (page !== null && key !== shownKey) {
    showPage(page);
    shownKey = key;
  }
  if (said.variants) showVariants(said);
  if (said.variables) showVariables(said.variables);
  const sentence = said.failed || said.problem || "";
  at("problem").textContent = sentence;
  at("problem").hidden = !sentence;
  const isOld = stale && shownKey !== "";
  at("stale").hidden = !isOld;
  at("page").classList.toggle("live-old", isOld);
  showMistakes(said);
}

// The network's page is a document of its own inside this one, the same that `archspec build -o`
// writes. It keeps what is folded, sorted and scrolled to when it is drawn again.
const frame = at("page");
let network = null; // the page's script, once it is there
let waiting = null;

frame.onload = () => {
  network = frame.contentWindow.archspec;
  frame.contentWindow.addEventListener("keydown", saveByKey);
  if (waiting) showPage(waiting);
};
frame.src = "network";

function showPage(data) {
  waiting = data;
  if (!network) return;
  frame.hidden = false;
  network.show(data);
}

addEventListener("beforeprint", () => {
  frame.style.minHeight = `${frame.contentDocument.documentElement.scrollHeight}px`;
});
addEventListener("afterprint", () => { frame.style.minHeight = ""; });

function showVariants({ variants, variant }) {
  if (view.variant !== null && !variants.includes(view.variant)) { // the text has lost it
    view.variant = null;
    view.variables = {};
    connect();
    look(0);
  }
  const select = at("variant");
  at("variants").hidden = variants.length < 2;
  const names = [...select.options].map((each) => each.value);
  if (names.join("\n") !== variants.join("\n"))
    select.replaceChildren(...variants.map((name) => new Option(name, name)));
  if (variant) select.value = variant;
}

at("variant").onchange = (event) => {
  view.variant = event.target.value;
  view.variables = {};
  connect();
  look(0);
};

let variableTimer = 0;

function showVariables(variables) {
  const form = at("variables");
  form.hidden = false;
  const names = [...form.querySelectorAll("input")].map((each) => each.name);
  if (names.join("\n") !== variables.map((each) => each.name).join("\n")) {
    form.replaceChildren(...variables.map(({ name }) => {
      const label = element("label", `${name} `);
      const input = document.createElement("input");
      Object.assign(input, { name, autocomplete: "off", spellcheck: false });
      label.append(input);
      return label;
    }));
    const reset = element("button", "As written");
    reset.type = "button";
    reset.onclick = () => { view.variables = {}; connect(); look(0); };
    form.append(reset);
  }
  for (const { name, written, value } of variables) {
    const input = form.elements.namedItem(name);
    if (document.activeElement !== input) input.value = value;
    input.dataset.written = written;
    input.size = Math.min(Math.max(value.length, 3), 24);
    input.classList.toggle("live-changed", value !== written);
  }
  form.querySelector("button").hidden = Object.keys(view.variables).length === 0;
}

at("variables").onsubmit = (event) => event.preventDefault();
at("variables").oninput = ({ target }) => {
  const value = target.value.trim();
  if (value === "" || value === target.dataset.written) delete view.variables[target.name];
  else view.variables[target.name] = value;
  clearTimeout(variableTimer);
  variableTimer = setTimeout(() => { connect(); look(0); }, TYPING);
};

function showMistakes({ mistakes = [], fixes = [], hints = null, more = 0 }) {
  const end = editor.state.doc.length;
  const marks = mistakes.map((each) => ({
    from: Math.min(each.from, end),
    to: Math.min(each.to, end),
    severity: "error",
    message: each.message,
    renderMessage: () => mistakeText(each),
    actions: fixes.filter((fix) => fix.of === each.from).map((fix) => ({
      name: fix.title,
      apply: (target, from) => {
        const moved = from - each.from;
        target.dispatch({ changes: { from: fix.from + moved, to: fix.to + moved, insert: fix.text } });
      },
    })),
  }));
  if (file && file.text !== null) editor.dispatch(setDiagnostics(editor.state, marks));
  if (hints && (hints.length || !mistakes.length)) showHints(hints); // else the last ones stay
  const list = element("ol", "");
  for (const each of mistakes) {
    const item = document.createElement("li");
    const button = element("button", "");
    button.type = "button";
    button.append(element("b", each.line ? `${each.line}:${each.column}` : file.name), " ", mistakeText(each));
    button.onclick = () => {
      editor.dispatch({ selection: { anchor: Math.min(each.from, end) }, scrollIntoView: true });
      editor.focus();
    };
    item.append(button);
    list.append(item);
  }
  const count = mistakes.length + more;
  const box = at("problems");
  box.replaceChildren();
  if (!count) return;
  box.append(element("h2", count === 1 ? "1 mistake" : `${count} mistakes`), list);
  if (more) box.append(element("p", `and ${more} more`));
}

function mistakeText({ message, help, notes }) {
  const box = element("span", "", "live-mistake");
  box.append(element("span", message));
  for (const note of notes) box.append(element("span", note, "live-note"));
  if (help) box.append(element("span", help, "live-mend"));
  return box;
}

// Saving

async function save(chosen = text(), version = base.version) {
  if (saving || !file || file.read_only) return;
  saving = true;
  try {
    const { status, data } = await post("save", { text: chosen, version });
    if (status === 200) {
      base = { version: data.version, text: chosen };
      at("conflict").close();
    } else if (status === 409) {
      file = { ...file, ...data };
      compare();
    } else {
      tell(data.problem);
      return;
    }
    tell("");
  } catch {
    tell("The server does not answer, so nothing was saved. Your text stays here.");
  } finally {
    saving = false;
    tellState();
  }
}

let complaint = "";

function tell(sentence) {
  complaint = sentence;
  tellState();
}

function tellState() {
  const dirty = isDirty();
  const gone = file !== null && file.version === "missing";
  const elsewhere = dirty && file !== null && file.version !== base.version;
  let status = "saved";
  if (offline) status = "the server is gone; looking for it";
  else if (file === null) status = "loading";
  else if (file.read_only) status = "read-only";
  else if (gone) status = "the file is gone";
  else if (dirty) status = "not saved";
  at("status").textContent = status;
  document.body.classList.toggle("live-offline", offline);
  at("save").disabled = !(dirty || gone) || offline || file.read_only;
  at("save").hidden = file !== null && file.read_only;
  let notice = complaint;
  if (!notice && elsewhere)
    notice = gone
      ? `${file.name} was deleted. Your text is not saved.`
      : `${file.name} was changed by another program. Your changes are not saved.`;
  at("notice").firstElementChild.textContent = notice;
  at("notice").hidden = !notice;
  at("compare").hidden = Boolean(complaint) || gone || file?.text === null;
}

let merge = null;

function compare() {
  const dialog = at("conflict");
  const gone = file.text === null;
  at("conflict-title").textContent = gone
    ? `${file.name} is not there any more`
    : `${file.name} was changed by another program`;
  at("conflict-text").textContent = gone
    ? "Saving writes it again, with your text."
    : "Both texts are below; yours can be edited. Nothing is written until you save.";
  at("take").hidden = gone;
  at("overwrite").disabled = file.version === "unreadable";
  if (merge) merge.destroy();
  const shared = [EditorView.cspNonce.of(nonce), lineNumbers(), yaml(), syntaxHighlighting(colours)];
  const fixed = EditorState.readOnly.of(true);
  merge = new MergeView({
    parent: at("merge"),
    a: { doc: file.text ?? "", extensions: [...shared, fixed, named("Text of the file")] },
    b: {
      doc: text(),
      extensions: [
        ...shared, named("Your text"), history(), keymap.of([...historyKeymap, ...defaultKeymap]),
      ],
    },
    revertControls: "a-to-b",
    collapseUnchanged: { margin: 3, minSize: 6 },
  });
  const { version, text: theirs } = file;
  at("take").onclick = () => {
    base = { version, text: theirs };
    replaceText(theirs);
    dialog.close();
    present(picture);
    tellState();
  };
  at("overwrite").onclick = () => {
    const merged = merge.b.state.doc.toString();
    replaceText(merged);
    save(merged, version);
  };
  if (!dialog.open) dialog.showModal();
}

at("save").onclick = () => save();
at("compare").onclick = compare;
at("fold").onclick = () => {
  const folded = document.body.classList.toggle("live-folded");
  at("fold").setAttribute("aria-expanded", String(!folded));
};
// In the editor, its own keys save.
function saveByKey(event) {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "s" || event.defaultPrevented) return;
  event.preventDefault();
  save();
}
addEventListener("keydown", saveByKey);
addEventListener("beforeunload", (event) => { if (isDirty()) event.preventDefault(); });

connect();
