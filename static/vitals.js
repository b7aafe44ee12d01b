// What the pages do beside charts: refresh, theme, selects that apply themselves, copying.
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("has-js");
  let paused = false, failures = 0, last = Date.now(), asked = last;

  // Refresh: only while the range ends at now, the page is seen, and nobody is in the middle of something.
  const busy = area => area.querySelector("details[open]") || (area.contains(document.activeElement) && document.activeElement.matches("input, select"));
  setInterval(() => {
    const area = document.querySelector("[data-every]"), note = document.querySelector("[data-updated]");
    if (!area) return;
    const age = Math.round((Date.now() - last) / 1000);
    if (note) note.textContent = failures ? `Not updated for ${age} s: the server does not answer` : age < 5 ? "Updated just now" : `Updated ${age} s ago`;
    const wait = Math.min(area.dataset.every * 2 ** failures, 300), tried = Math.round((Date.now() - asked) / 1000);
    if (paused || document.hidden || busy(area) || tried < wait) return;
    asked = Date.now();
    document.body.dispatchEvent(new CustomEvent("vitals:refresh"));
  }, 1000);
  const dim = () => document.querySelector("[data-every]")?.classList.toggle("is-old", failures > 0);
  document.addEventListener("htmx:after:swap", event => {
    if (event.detail?.ctx?.response?.status >= 400) return;
    failures = 0; last = asked = Date.now(); label(); dim();
  });
  // What was shown last stays, dimmed; the next try waits twice as long, up to five minutes.
  for (const name of ["htmx:error", "htmx:response:error"]) document.addEventListener(name, () => { failures = Math.min(failures + 1, 5); dim(); });

  const label = () => document.querySelectorAll("[data-pause]").forEach(button => {
    button.textContent = paused ? "Resume" : "Pause"; button.setAttribute("aria-pressed", paused);
  });
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

  document.addEventListener("click", event => {
    const button = event.target.closest("button"), share = event.target.closest("[data-share]");
    if (share && navigator.clipboard && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      navigator.clipboard.writeText(share.href).then(() => { share.textContent = "Link copied"; }, () => location.assign(share.href));
    } else if (!button) {
      if (!event.target.closest(".menu")) document.querySelectorAll(".menu[open]").forEach(menu => { menu.open = false; });
    } else if ("pause" in button.dataset) {
      paused = !paused; label();
    } else if ("themeToggle" in button.dataset) {
      root.dataset.theme = dark() ? "light" : "dark";
      document.cookie = `theme=${root.dataset.theme};path=/;max-age=31536000;samesite=lax`;
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* the settings then keep their own */ }
      document.dispatchEvent(new CustomEvent("vitals:theme"));
    } else if (button.dataset.opens) {
      const sheet = document.getElementById(button.dataset.opens);
      sheet.querySelector("[data-keys]").checked = keys(); sheet.showModal();
    } else if (button.dataset.copy) {
      navigator.clipboard?.writeText(document.getElementById(button.dataset.copy).textContent).then(() => { button.textContent = "Copied"; });
    }
  });
  // Keys: what carries data-key is clicked. They are off where somebody writes, and for those who want none.
  const keys = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
  const step = by => {
    const rows = [...document.querySelectorAll(".stackable tbody tr")].map(row => row.querySelector("a")).filter(Boolean);
    const here = rows.findIndex(link => link.closest("tr").contains(document.activeElement));
    rows[Math.min(Math.max(here + by, 0), rows.length - 1)]?.focus();
  };
  let first = "";
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") document.querySelectorAll(".menu[open]").forEach(menu => { menu.open = false; menu.querySelector("summary").focus(); });
    // A field of a sheet just closed has the focus until the next frame; nobody writes in it.
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, select, textarea, dialog")?.checkVisibility()) return;
    const key = first + event.key;
    first = key === "g" ? "g " : "";
    if (first || !(keys() || key === "?")) return;
    if (key === "j" || key === "k") return step(key === "j" ? 1 : -1);
    const found = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (found) { event.preventDefault(); found.click(); }
  });
  if (location.hash === "#user") document.getElementById("user")?.focus();
  document.addEventListener("change", event => {
    if ("keys" in event.target.dataset) try { localStorage.setItem("keys", event.target.checked ? "on" : "off"); } catch { /* until the next page */ }
    event.target.form?.classList.contains("js-submit") && event.target.form.requestSubmit();
  });
  document.addEventListener("input", event => { if (event.target.type === "range") event.target.form.querySelector("output").textContent = `${event.target.value} ×`; });
})();
