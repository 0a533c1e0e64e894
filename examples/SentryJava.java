// Report errors with Sentry's SDK for Java.
// Gradle: implementation("io.sentry:sentry:8.+")
import io.sentry.Sentry;

public class SentryJava {
  public static void main(String... args) {
    Sentry.init(options -> {
      options.setDsn(System.getenv("SENTRY_DSN"));
    });

    try {
      throw new Exception("This is a test.");
    } catch (Exception e) {
      Sentry.captureException(e);
    }
    // Send what is queued before the program ends.
    Sentry.close();
  }
}
