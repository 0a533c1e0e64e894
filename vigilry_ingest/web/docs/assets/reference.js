// Swagger UI for the OpenAPI document; an entered API key is kept in memory only.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

// Swagger UI shows a text example as a quoted JSON string, and would send it with the quotes.
const unquoteLines = (request) => {
  if (request.headers?.["Content-Type"] === "application/x-ndjson") {
    try {
      const text = JSON.parse(request.body);
      if (typeof text === "string") request.body = text;
    } catch {
      // Several lines are not one JSON text: send them as typed.
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
