// The JavaScript SDK, unchanged: threads, streams, questions, forks, reconnection, cancelling.
import assert from "node:assert/strict";
import { Client } from "@langchain/langgraph-sdk";

const [url, image] = process.argv.slice(2);
const client = new Client({ apiUrl: url, apiKey: null });
const shown = (text) => ({
  messages: [
    {
      type: "human",
      content: [
        { type: "text", text },
        { type: "image", mimeType: "image/jpeg", data: image },
      ],
    },
  ],
});
const all = async (parts) => {
  const found = [];
  for await (const part of parts) found.push(part);
  return found;
};

const assistants = await client.assistants.search({ limit: 100 });
const graticule = assistants.find((one) => one.graph_id === "graticule");
assert.ok(graticule);
assert.ok((await client.assistants.getGraph(graticule.assistant_id)).nodes.length > 5);
assert.ok((await client.assistants.getSchemas("graticule")).input_schema);

// A stream, and what is left of it.
const thread = await client.threads.create({ metadata: { from: "js" } });
let created;
const parts = await all(
  client.runs.stream(thread.thread_id, "graticule", {
    input: shown("Where is this?"),
    streamMode: ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events"],
    streamSubgraphs: true,
    streamResumable: true,
    onRunCreated: (run) => (created = run),
  }),
);
assert.equal(parts[0].event, "metadata");
assert.equal(created.run_id, parts[0].data.run_id);
assert.equal(created.thread_id, thread.thread_id);
assert.equal(parts.at(-1).event, "end");
const answer = parts.filter((one) => one.event === "values").at(-1).data.answer;
assert.ok(answer.caution);
const names = new Set(parts.map((one) => one.event));
for (const name of ["updates", "messages", "custom", "tasks", "checkpoints", "debug", "events"]) {
  assert.ok(names.has(name), name);
}
const state = await client.threads.getState(thread.thread_id);
assert.deepEqual(state.next, []);
assert.equal(state.values.messages[0].content[0].text, "Where is this?");
const found = await client.threads.search({ metadata: { from: "js" } });
assert.equal(found[0].thread_id, thread.thread_id);

// A fork from a checkpoint.
const history = await client.threads.getHistory(thread.thread_id, { limit: 100 });
const early = history.find((one) => one.next[0] === "decide");
const again = await client.runs.wait(thread.thread_id, "graticule", { checkpoint: early.checkpoint });
assert.ok(again.answer);
assert.ok((await client.threads.getHistory(thread.thread_id, { limit: 100 })).length > history.length);

// A question, answered by another client.
const asking = await client.threads.create();
await client.runs.wait(asking.thread_id, "graticule", { input: shown("ask me") });
const other = new Client({ apiUrl: url, apiKey: null });
const waiting = await other.threads.get(asking.thread_id);
assert.equal(waiting.status, "interrupted");
assert.equal(
  Object.values(waiting.interrupts)[0][0].value.action_request.args.question,
  "Which country?",
);
const replied = await other.runs.wait(asking.thread_id, "graticule", {
  command: { resume: [{ type: "response", args: "Germany" }] },
});
assert.equal(replied.answer.country, "DE");

// Cut off in the middle, joined again: nothing lost, nothing twice.
const cut = await client.threads.create();
const run = await client.runs.create(cut.thread_id, "graticule", {
  input: shown("Where is this?"),
  streamMode: ["custom", "values"],
});
const first = [];
const abort = new AbortController();
for await (const part of client.runs.joinStream(cut.thread_id, run.run_id, { signal: abort.signal })) {
  first.push(part);
  if (first.length === 5) break;
}
abort.abort();
const last = first.at(-1).id;
const rest = await all(client.runs.joinStream(cut.thread_id, run.run_id, { lastEventId: last }));
const whole = await all(client.runs.joinStream(cut.thread_id, run.run_id, { lastEventId: "-1" }));
assert.deepEqual([...first, ...rest], whole);
assert.equal(whole.at(-1).event, "end");

// Strategies and cancelling.
const busy = await client.threads.create();
const slow = await client.runs.create(busy.thread_id, "graticule", { input: shown("slowly") });
await assert.rejects(
  client.runs.create(busy.thread_id, "graticule", { input: null, multitaskStrategy: "reject" }),
  /409/,
);
await client.runs.cancel(busy.thread_id, slow.run_id, true);
assert.equal((await client.runs.get(busy.thread_id, slow.run_id)).status, "interrupted");

// Without a thread; items.
assert.ok((await client.runs.wait(null, "graticule", { input: shown("Where?") })).answer);
await client.store.putItem(["js"], "k", { n: 1 });
assert.deepEqual((await client.store.getItem(["js"], "k")).value, { n: 1 });
await client.store.deleteItem(["js"], "k");
await client.threads.delete(cut.thread_id);
await assert.rejects(client.threads.get(cut.thread_id), /404/);
console.log("sdk ok");
