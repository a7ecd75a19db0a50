// The parts of CodeMirror 6 that live.js uses, and no more.
export { Annotation, EditorState, StateEffect, StateField } from "@codemirror/state";
export {
  Decoration, EditorView, WidgetType, keymap, lineNumbers, highlightSpecialChars, drawSelection, highlightActiveLine,
  highlightActiveLineGutter, hoverTooltip,
} from "@codemirror/view";
export {
  defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory,
} from "@codemirror/commands";
export {
  indentUnit, foldGutter, foldKeymap, bracketMatching, syntaxHighlighting, HighlightStyle,
} from "@codemirror/language";
export { yaml } from "@codemirror/lang-yaml";
export { setDiagnostics, lintGutter, lintKeymap } from "@codemirror/lint";
export {
  autocompletion, completionKeymap, closeBrackets, closeBracketsKeymap, snippet,
} from "@codemirror/autocomplete";
export { search, searchKeymap, highlightSelectionMatches } from "@codemirror/search";
export { MergeView } from "@codemirror/merge";
export { tags } from "@lezer/highlight";
