// Keeps the errors of each project in a hash: a whole consumer, in the group "errors". Needs: npm install redis
import { hostname } from "node:os";
import { createClient } from "redis";

const STREAMS = [...Array(Number(process.env.PARTITIONS ?? 1)).keys()].map((n) => `vigilry:{${n}}:events`);
const GROUP = "errors", NAME = `${hostname()}:${process.pid}`, TAKE_OVER_MS = Number(process.env.TAKE_OVER_MS ?? 60_000);
const broker = await createClient({ url: process.env.REDIS_URL }).connect();
for (const stream of STREAMS)
  await broker.xGroupCreate(stream, GROUP, "0", { MKSTREAM: true }).catch((error) => {
    if (!error.message.startsWith("BUSYGROUP")) throw error;
  });

for (;;) {
  // First what a consumer that died had in hand for a minute, then what is new.
  const batches = [];
  for (const name of STREAMS)
    batches.push({ name, messages: (await broker.xAutoClaim(name, GROUP, NAME, TAKE_OVER_MS, "0")).messages });
  const wanted = STREAMS.map((key) => ({ key, id: ">" }));
  batches.push(...((await broker.xReadGroup(GROUP, NAME, wanted, { COUNT: 100, BLOCK: 1000 })) ?? []));
  for (const { name, messages } of batches)
    for (const { id, message: entry } of messages.filter(Boolean)) {
      // What is put back for another group alone is not for us; nor is what is not version 1.
      if ((entry.for_group ?? GROUP) === GROUP && entry.v === "1" && entry.severity === "ERROR")
        // An event may come twice: what is written under its id is the same the second time.
        await broker.hSet(`errors:${entry.project_id}`, entry.id, entry.message);
      await broker.xAck(name, GROUP, id);
    }
}
