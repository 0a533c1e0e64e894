// Report the error of an Express route, as the SDK's documentation shows it.
import * as Sentry from "@sentry/node";

Sentry.init({ dsn: process.env.SENTRY_DSN, release: "shop@1.4.2", serverName: "web-1" });

const { default: express } = await import("express");
const app = express();
app.get("/checkout", () => {
  Sentry.setUser({ id: "usr_99" });
  Sentry.setTag("order_id", "ord_4421");
  throw new RangeError("no cart");
});
Sentry.setupExpressErrorHandler(app);
app.use((error, request, response, next) => response.status(500).end());
const server = app.listen(0, "127.0.0.1", async () => {
  await fetch(`http://127.0.0.1:${server.address().port}/checkout`);
  await Sentry.flush(5000);
  server.close();
});
