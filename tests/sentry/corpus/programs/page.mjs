// Report through the SDK for browsers.
import * as Sentry from "@sentry/browser";
import { OPTIONS, report } from "./scenarios.mjs";

window.start = async (dsn, count) => {
  const integrations = [Sentry.browserTracingIntegration(), Sentry.replayIntegration()];
  Sentry.init({ ...OPTIONS, dsn, release: "shop@1.4.2", integrations, replaysOnErrorSampleRate: 0.1 });
  await report(Sentry, count);
};
