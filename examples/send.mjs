// Send an event with Node's own fetch.
const answer = await fetch(`${process.env.INGEST_URL}/ingest/events`, {
  method: "POST",
  headers: { "X-Api-Key": process.env.INGEST_API_KEY, "Content-Type": "application/json" },
  body: JSON.stringify({ type: "deployed", severity: "INFO", message: "Version 42 is out", source: "fetch" }),
  signal: AbortSignal.timeout(5000),
});
if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
console.log((await answer.json()).jobId);
