// Report the errors of a web page with Sentry's SDK for browsers.
// npm install @sentry/browser; flask keys mint shop --scope send --allow-origin https://shop.example
import * as Sentry from "@sentry/browser";

Sentry.init({
  // The bundler replaces it; such a key can only send, and only from your pages.
  dsn: process.env.SENTRY_DSN,
});

setTimeout(() => {
  throw new Error("Sentry Test Error");
});
