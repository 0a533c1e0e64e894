// Swagger UI on the service's own description; the key that a reader types stays in this page's memory.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

// Swagger UI shows the example of a text as one quoted JSON string, and would send the quotes too.
const unquoteLines = (request) => {
  if (request.headers?.["Content-Type"] === "application/x-ndjson") {
    try {
      const text = JSON.parse(request.body);
      if (typeof text === "string") request.body = text;
    } catch {
      // Several lines are no JSON text: they are sent as they were typed.
    }
  }
  return request;
};

SwaggerUIBundle({
  dom_id: "#reference",
  url: "/openapi.json",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  requestInterceptor: unquoteLines,
  syntaxHighlight: { theme: "tomorrow-night" },
  tryItOutEnabled: true,
  validatorUrl: null,
});
