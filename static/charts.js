// Draws every .chart from the JSON beside it. Plotly is fetched when the first chart comes near the screen, and once.
(() => {
  "use strict";
  const me = document.currentScript, nonce = me.nonce, root = document.documentElement;
  let library, observer;
  const hidden = new Map(); // chart id → names switched off in its legend

  const load = () => library ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.nonce = nonce; script.src = me.dataset.plotly;
    script.onload = () => done(window.Plotly); script.onerror = fail;
    document.head.append(script);
  });

  // "@c1" is the token --c1; "@c1/0.5" the same, half transparent.
  const resolve = (value, style) => {
    if (Array.isArray(value)) return value.map(item => resolve(item, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "name" || key === "text" ? item : resolve(item, style)]));
    if (typeof value !== "string" || value[0] !== "@") return value;
    const [name, alpha] = value.slice(1).split("/"), colour = style.getPropertyValue("--" + name).trim();
    return alpha ? colour + Math.round(alpha * 255).toString(16).padStart(2, "0") : colour;
  };

  const axis = { gridcolor: "@line", linecolor: "@line", zeroline: false, tickfont: { size: 11 }, fixedrange: true, automargin: true };
  const layout = (own, width) => ({
    ...own, autosize: true, margin: { l: 46, r: 14, t: 8, b: 30 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "@muted" }, showlegend: false,
    hovermode: "x unified", dragmode: "zoom", uirevision: "kept",
    hoverlabel: { bgcolor: "@card", bordercolor: "@line", font: { color: "@ink", size: 12 } },
    xaxis: { ...axis, showgrid: false, ticks: "outside", tickcolor: "@line", ticklen: 4, type: "date", fixedrange: false, nticks: width < 420 ? 4 : 7,
      hoverformat: "%a %-d %b, %H:%M UTC", tickformatstops: [{ dtickrange: [null, 43200000], value: "%H:%M" }, { dtickrange: [43200000, null], value: "%-d %b" }], ...own.xaxis },
    yaxis: { ...axis, rangemode: "tozero", nticks: 5, ...own.yaxis },
  });

  const draw = async host => {
    const source = document.getElementById(host.dataset.figure);
    if (!source) return;
    const Plotly = await load(), figure = JSON.parse(source.textContent), style = getComputedStyle(root), off = hidden.get(host.id);
    for (const trace of figure.data) if (off?.has(trace.name)) trace.visible = false;
    await Plotly.react(host, resolve(figure.data, style), resolve(layout(figure.layout, host.clientWidth), style), { displayModeBar: false, responsive: true, doubleClick: false });
    if (host.dataset.drawn) return;
    host.dataset.drawn = "yes";
    // Dragging over a chart sets the range of the whole page; the form for times does the same from the keyboard.
    host.on("plotly_relayout", change => {
      const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
      if (from === undefined || to === undefined) return;
      const url = new URL(location.href), utc = text => new Date(String(text).replace(" ", "T").replace(/Z?$/, "Z")).toISOString().slice(0, 19) + "Z";
      url.searchParams.set("from", utc(from)); url.searchParams.set("to", utc(to));
      location.assign(url);
    });
  };

  const hosts = () => document.querySelectorAll(".chart");
  const start = () => {
    observer?.disconnect();
    observer = new IntersectionObserver(entries => entries.forEach(entry => {
      if (entry.isIntersecting) { observer.unobserve(entry.target); draw(entry.target); }
    }), { rootMargin: "200px" });
    hosts().forEach(host => {
      for (const box of document.querySelectorAll(`[data-chart="${host.id}"]`)) box.checked = !hidden.get(host.id)?.has(name(box));
      host.dataset.drawn ? draw(host) : observer.observe(host);
    });
  };
  const name = box => box.parentElement.textContent.trim().replaceAll("<", "\u2039"); // as the chart has it

  document.addEventListener("change", event => {
    const box = event.target, id = box.dataset?.chart;
    if (!id) return;
    const off = hidden.get(id) ?? new Set();
    box.checked ? off.delete(name(box)) : off.add(name(box));
    hidden.set(id, off);
    draw(document.getElementById(id));
  });
  const redraw = () => hosts().forEach(host => host.dataset.drawn && draw(host));
  document.addEventListener("vitals:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  document.addEventListener("htmx:after:swap", start);
  document.addEventListener("htmx:before:cleanup", event => event.target.classList?.contains("chart") && window.Plotly?.purge(event.target));
  // Paper has no scroll position: what was not near the screen is drawn before printing.
  addEventListener("beforeprint", () => hosts().forEach(draw));
  start();
})();
