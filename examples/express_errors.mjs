// An Express application that reports its unhandled errors in the background, so that no answer waits.
import express from "express";

const { INGEST_URL, INGEST_API_KEY, PORT } = process.env;
const app = express();
app.use(express.json());

app.post("/orders", (request, response) => response.sendStatus(201));

app.get("/orders/:number", (request) => {
  throw new TypeError(`Cannot read order ${request.params.number}`);
});

// Cut to what is worth reporting; half a surrogate pair is no JSON.
const text = (said) => String(said).slice(0, 100_000).toWellFormed();

async function report(error, request) {
  const answer = await fetch(`${INGEST_URL}/ingest/server-error`, {
    method: "POST",
    headers: { "X-Api-Key": INGEST_API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({
      status_code: 500,
      path: text(request.path),
      method: request.method,
      error_message: text(error?.message || error || "unknown"),
      stack: error?.stack && text(error.stack),
      correlation: { request_id: request.get("X-Request-Id") ?? "" },
    }),
    signal: AbortSignal.timeout(2000),
  });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  await answer.body?.cancel();
}

// After all routes, and with four arguments: so Express knows it for an error handler.
app.use((error, request, response, next) => {
  // A malformed body or address is the client's error, and Express answers it as it should. What else has a
  // status, such as an HTTP client's failure, has somebody else's.
  if (response.headersSent || error?.expose || error instanceof URIError) return next(error);
  console.error(error);
  // A report that fails must not become another error.
  report(error, request).catch((failure) => console.error("An error was not reported:", failure));
  response.status(500).send("Something went wrong.");
});

app.listen(Number(PORT), "127.0.0.1");
