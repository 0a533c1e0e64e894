// Send an event with Node's built-in fetch.
const response = await fetch(`${process.env.INGEST_URL}/ingest/events`, {
  method: "POST",
  headers: { "X-Api-Key": process.env.INGEST_API_KEY, "Content-Type": "application/json" },
  body: JSON.stringify({ type: "deployed", severity: "INFO", message: "Version 42 is out", source: "fetch" }),
  signal: AbortSignal.timeout(5000),
});
if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
console.log((await response.json()).jobId);
