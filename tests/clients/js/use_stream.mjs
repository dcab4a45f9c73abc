// React's useStream, which chat front ends are built on, in a browser's document without a browser.
import assert from "node:assert/strict";
import { JSDOM } from "jsdom";

const [url, image] = process.argv.slice(2);
const dom = new JSDOM("<div id=root></div>", { url: "http://localhost/" });
globalThis.window = dom.window;
globalThis.document = dom.window.document;
globalThis.navigator = dom.window.navigator;
const { createElement, useState } = await import("react");
const { createRoot } = await import("react-dom/client");
const { useStream } = await import("@langchain/langgraph-sdk/react");

let stream;
const custom = [];
let threadId, setThread;
function Chat({ thread }) {
  [threadId, setThread] = useState(thread);
  stream = useStream({
    apiUrl: url,
    assistantId: "graticule",
    messagesKey: "messages",
    threadId,
    fetchStateHistory: true,
    reconnectOnMount: true,
    onThreadId: setThread,
    onCustomEvent: (event) => custom.push(event),
  });
  return null;
}
const root = createRoot(document.getElementById("root"));
root.render(createElement(Chat, { thread: null }));
const until = async (holds, what) => {
  for (let n = 0; n < 1500; n++) {
    if (stream && holds()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  assert.fail(`waited for ${what} in vain: ${stream?.error}`);
};
await until(() => stream, "the first render");

// A photo, a question, its answer.
const content = [
  { type: "text", text: "ask me" },
  { type: "image", mimeType: "image/jpeg", data: image },
];
stream.submit(
  { messages: [{ type: "human", content }] },
  { streamMode: ["values"], streamSubgraphs: true, streamResumable: true },
);
await until(() => stream.isLoading, "the beginning");
await until(() => !stream.isLoading && stream.interrupt, "the question");
assert.equal(stream.error, undefined);
assert.equal(stream.interrupt.value.action_request.action, "ask_analyst");
assert.ok(threadId);
assert.ok(custom.some((one) => one.kind === "tool_result"));

stream.submit(undefined, { command: { resume: [{ type: "response", args: "Germany" }] } });
await until(() => !stream.isLoading && stream.values.answer, "the answer");
assert.equal(stream.values.answer.country, "DE");
assert.equal(stream.messages.at(-1).type, "ai");
assert.ok(!JSON.stringify(stream.messages).includes(image.slice(0, 200)));

// A follow-up.
stream.submit({ messages: [{ type: "human", content: "it is not France" }] });
await until(() => !stream.isLoading && stream.values.answer?.revision === 2, "the second answer");
assert.equal(stream.error, undefined);
root.unmount();

// The same thread in a fresh page.
const later = createRoot(document.getElementById("root"));
stream = undefined;
later.render(createElement(Chat, { thread: threadId }));
await until(() => stream.values?.answer?.revision === 2, "the history");
assert.ok(stream.messages.length > 4);
later.unmount();
console.log("useStream ok");
process.exit(0);
