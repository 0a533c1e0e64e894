// An Express application that reports unhandled errors in the background, without delaying responses.
import express from "express";

const { INGEST_URL, INGEST_API_KEY, PORT } = process.env;
const app = express();
app.use(express.json());

app.post("/orders", (request, response) => response.sendStatus(201));

app.get("/orders/:number", (request) => {
  throw new TypeError(`Cannot read order ${request.params.number}`);
});

// Limit the length, and replace lone surrogates, which are not valid in UTF-8.
const text = (value) => String(value).slice(0, 100_000).toWellFormed();

async function report(error, request) {
  const response = await fetch(`${INGEST_URL}/ingest/server-error`, {
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
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  await response.body?.cancel();
}

// An error handler of Express has four arguments, and must come after all routes.
app.use((error, request, response, next) => {
  // Express handles client errors, such as a malformed body or URL, itself. A status on other errors, such as
  // those of an HTTP client, belongs to another request.
  if (response.headersSent || error?.expose || error instanceof URIError) return next(error);
  console.error(error);
  // A failed report must not cause another error.
  report(error, request).catch((failure) => console.error("An error was not reported:", failure));
  response.status(500).send("Something went wrong.");
});

app.listen(Number(PORT), "127.0.0.1");
