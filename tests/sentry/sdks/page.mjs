// Report an uncaught error of a web page.
import * as Sentry from "@sentry/browser";

window.start = (dsn) => {
  Sentry.init({ dsn, release: "shop@1.4.2" });
  Sentry.setUser({ id: "usr_99" });
  Sentry.setTag("order_id", "ord_4421");
  setTimeout(() => {
    throw new RangeError("no cart");
  });
};
