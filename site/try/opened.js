// Where the page's own scripts cannot be loaded, say so instead of waiting for ever. This
// is no module itself: from a disk, browsers load none.
function fail(text) {
  document.body.className = "failed";
  document.getElementById("sentence").textContent = text;
}

addEventListener(
  "error",
  ({ target, error }) => {
    if (error instanceof SyntaxError) fail("This browser is too old for this page.");
    if (target.tagName === "SCRIPT") {
      fail("A part of this page could not be loaded; reload it, or tell whoever runs it.");
    }
  },
  true, // such events do not bubble
);
addEventListener("DOMContentLoaded", () => {
  if (!document.body.className) document.body.className = "busy"; // until all is loaded
  if (location.protocol === "file:") {
    fail(
      "Opened as a file, this page cannot load its parts; run “python -m http.server” in its folder and open http://localhost:8000.",
    );
  }
});
