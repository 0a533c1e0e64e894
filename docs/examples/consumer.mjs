// A complete consumer in the group "errors": it copies the errors of each project to a hash. Needs: npm install redis
import { hostname } from "node:os";
import { createClient } from "redis";

const STREAMS = [...Array(Number(process.env.PARTITIONS ?? 1)).keys()].map((n) => `vigilry:{${n}}:events`);
const GROUP = "errors", NAME = `${hostname()}:${process.pid}`;
const CLAIM_AFTER_MS = Number(process.env.CLAIM_AFTER_MS ?? 60_000);
const broker = await createClient({ url: process.env.REDIS_URL }).connect();
for (const stream of STREAMS)
  await broker.xGroupCreate(stream, GROUP, "0", { MKSTREAM: true }).catch((error) => {
    if (!error.message.startsWith("BUSYGROUP")) throw error;
  });

for (;;) {
  // Entries that a consumer has not acknowledged for a minute come first, then new entries.
  const batches = [];
  for (const name of STREAMS)
    batches.push({ name, messages: (await broker.xAutoClaim(name, GROUP, NAME, CLAIM_AFTER_MS, "0")).messages });
  const positions = STREAMS.map((key) => ({ key, id: ">" }));
  batches.push(...((await broker.xReadGroup(GROUP, NAME, positions, { COUNT: 100, BLOCK: 1000 })) ?? []));
  for (const { name, messages } of batches)
    for (const { id, message: entry } of messages.filter(Boolean)) {
      // Skip entries of other versions, and entries that were requeued for another group.
      if ((entry.for_group ?? GROUP) === GROUP && entry.v === "1" && entry.severity === "ERROR")
        // An event may be delivered twice; its id makes the second write do nothing.
        await broker.hSet(`errors:${entry.project_id}`, entry.id, entry.message);
      await broker.xAck(name, GROUP, id);
    }
}
