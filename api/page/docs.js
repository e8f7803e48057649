// Swagger UI over the description that the document names. A token lives as long as the tab.
const { content } = document.querySelector("meta[name=noctis-api]");

globalThis.SwaggerUIBundle({
  url: content,
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
