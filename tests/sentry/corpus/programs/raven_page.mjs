// Report through the old client for browsers.
import Raven from "raven-js";

window.start = async (dsn, count) => {
  Raven.config(dsn, { release: "shop@1.4.2", allowDuplicates: true, tags: { region: "eu" } }).install();
  for (let number = 0; number < count; number++) {
    Raven.setUserContext(number % 3 ? { id: `usr_${number}` } : undefined);
    if (number % 2) Raven.captureException(new RangeError(`order ${number}`), { level: "error" });
    else Raven.captureMessage(`late ${number}`, { level: ["warning", "info"][number % 4 / 2], tags: { n: number } });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
