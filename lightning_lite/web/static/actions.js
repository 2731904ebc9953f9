// Actions that several views offer: a command to an app, and a download.
import { download, post, runPath } from "./api.js";
import { say, showText } from "./dialogs.js";

/** Start a download, as `download` does, and say so if it can't be started. */
export async function fetchFile(ticket) {
  try {
    await download(ticket);
  } catch (error) {
    say(error.message, { bad: true });
  }
}

/** Send a command to the app, and say what it answered. */
export async function act(run, command, refresh) {
  try {
    const answer = await post(`${runPath(run.id)}/actions`, command);
    if (answer.text) showText({ title: `Stack of ${command.work ?? "the flow"}`, text: answer.text, note: answer.done });
    else say(answer.done);
  } catch (error) {
    say(error.message, { bad: true });
  }
  refresh?.();
}
