// An Express application that reports its unhandled errors in the background, so that no answer waits.
import express from "express";

const app = express();

app.get("/orders/:number", (request) => {
  throw new TypeError(`Cannot read order ${request.params.number}`);
});

// After all routes, and with four arguments: so Express knows it for an error handler.
app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  fetch(`${process.env.VIGILRY_URL}/ingest/server-error`, {
    method: "POST",
    headers: { "X-Api-Key": process.env.VIGILRY_API_KEY, "Content-Type": "application/json" },
    body: JSON.stringify({
      status_code: 500,
      path: request.path,
      method: request.method,
      error_message: error.message || error.name,
      stack: error.stack,
      correlation: { request_id: request.get("X-Request-Id") ?? "" },
    }),
    signal: AbortSignal.timeout(2000),
  }).catch(() => {}); // A report that fails must not become another error.
  response.status(500).send("Something went wrong.");
});

app.listen(Number(process.env.PORT), "127.0.0.1");
