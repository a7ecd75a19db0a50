// Starts `archspec lsp` and connects it to YAML and JSON files. The server decides which of them are
// specs, and leaves the others alone; everything that it knows is in the Python package.
"use strict";

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("archspec").get("command");
  const selector = ["yaml", "json"].flatMap((language) => [
    { scheme: "file", language },
    { scheme: "untitled", language },
  ]);
  client = new LanguageClient("archspec", "archspec", { command, args }, { documentSelector: selector });
  try {
    await client.start();
  } catch (error) {
    const message =
      `archspec's language server does not start: ${error.message}. Install it by ` +
      `pip install 'keras-archspec[lsp]', or set archspec.command.`;
    vscode.window.showErrorMessage(message);
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running && running.isRunning()) await running.stop();
}

exports.activate = async (context) => {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("archspec.restart", restart),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("archspec.command")) return restart();
    }),
  );
  await start();
};

exports.deactivate = stop;
