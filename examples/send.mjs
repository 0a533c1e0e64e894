// Send an event with Node's own fetch.
const answer = await fetch(`${process.env.VIGILRY_URL}/ingest/events`, {
  method: "POST",
  headers: { "X-Api-Key": process.env.VIGILRY_API_KEY, "Content-Type": "application/json" },
  body: JSON.stringify({ type: "deployed", severity: "INFO", message: "Version 42 is out", source: "fetch" }),
  signal: AbortSignal.timeout(5000),
});
const told = await answer.json();
if (!answer.ok) throw new Error(`${told.code}: ${told.detail}`);
console.log(told.jobId);
