// An Express application that reports its unhandled errors in the background, so that no answer waits.
import express from "express";

const app = express();
app.use(express.json());

app.post("/orders", (request, response) => response.sendStatus(201));

app.get("/orders/:number", (request) => {
  throw new TypeError(`Cannot read order ${request.params.number}`);
});

// After all routes, and with four arguments: so Express knows it for an error handler.
app.use((error, request, response, next) => {
  // A malformed body or address is the client's error: Express answers it as it should.
  const status = error.status ?? error.statusCode ?? 500;
  if (response.headersSent || status < 500) return next(error);
  fetch(`${process.env.VIGILRY_URL}/ingest/server-error`, {
    method: "POST",
    headers: { "X-Api-Key": process.env.VIGILRY_API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({
      status_code: status,
      path: request.path,
      method: request.method,
      error_message: error.message || String(error),
      stack: error.stack,
      correlation: { request_id: request.get("X-Request-Id") ?? "" },
    }),
    signal: AbortSignal.timeout(2000),
  })
    .then((answer) => answer.body?.cancel())
    .catch(() => {}); // A report that fails must not become another error.
  response.status(status).send("Something went wrong.");
});

app.listen(Number(process.env.PORT), "127.0.0.1");
