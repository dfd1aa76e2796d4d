// Draws the charts of a replay report, each when it is first seen, and makes its tables sortable. Fetches nothing.
"use strict";
(() => {
  const SEVERITIES = ["info", "warning", "critical"];
  const SYMBOLS = ["circle", "diamond", "triangle-up"];
  const DAY = 86400000;
  const AROUND = DAY * 1.5;
  const PRINT_WIDTH = 700; // px that fit on a portrait A4 page
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const charts = new Map(); // a drawn chart's element -> draws it again; for a change of theme, and for paper

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const read = (chart) => JSON.parse(document.getElementById(chart.dataset.json).textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "pan2d", "resetScale2d", "toImage"]],
  };

  function layout(more) {
    const axis = { color: colour("soft"), gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false,
      spikecolor: colour("soft"), spikethickness: 1, spikedash: "solid" };
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 13, color: colour("ink") },
      margin: { l: 58, r: 14, t: 34, b: 40 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
      hoverlabel: { bgcolor: colour("ground"), bordercolor: colour("line"), font: { color: colour("ink"), size: 12 } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("ink") },
      dragmode: "zoom",
    };
    for (const [name, value] of Object.entries(more)) {
      base[name] = name.startsWith("xaxis") || name.startsWith("yaxis") ? { ...axis, ...value } : value;
    }
    return base;
  }

  function draw(chart, traces, shape, width) {
    if (width) shape.width = width;
    return Plotly.react(chart, traces, shape, config);
  }

  function overview(chart, width) {
    const data = read(chart);
    const days = data.info.map((_, place) => data.t0 + place * data.step);
    const length = data.step === DAY ? "day" : data.step / DAY / 7 + " weeks";
    const bars = SEVERITIES.map((severity, place) => ({
      type: "bar",
      name: severity,
      x: days,
      y: data[severity],
      xperiod: data.step,
      xperiod0: data.t0,
      xperiodalignment: "middle",
      marker: { color: colour(severity), pattern: { shape: ["", "/", ""][place], fillmode: "overlay", fgcolor: colour("ground"), size: 6, solidity: 0.15 } },
      hovertemplate: "%{y} " + severity + "<extra></extra>",
    })).filter((bar) => bar.y.some((count) => count));
    const most = Math.max(...days.map((_, place) => bars.reduce((sum, bar) => sum + bar.y[place], 0)));
    const whole = most <= 8 ? { dtick: 1 } : {};  // otherwise halves are marked, and rounded to the same number twice
    const daily = days.length * data.step <= 10 * DAY ? { dtick: DAY, tickformat: "%d %b %Y" } : {};
    const shape = layout({
      barmode: "stack",
      bargap: 0.05,
      showlegend: true,
      hovermode: "x unified",
      xaxis: { type: "date", range: [data.t0, data.t0 + days.length * data.step], hoverformat: "%d %b %Y", ...daily },
      yaxis: { title: { text: "alerts a " + length }, rangemode: "tozero", tickformat: ",d", minallowed: 0, ...whole },
    });
    return draw(chart, bars, shape, width);
  }

  // Columns with a gap wherever a bucket has nothing: a line over silence would show what nobody measured.
  function series(columns) {
    const out = { x: [], mentions: [], votes: [], share: [], usual: [], low: [], high: [], tested: [] };
    columns.t.forEach((step, place) => {
      if (place && step > columns.t[place - 1] + 1) {
        out.x.push(columns.t0 + (columns.t[place - 1] + 1) * columns.step);
        for (const name of ["mentions", "votes", "share"]) out[name].push(null);
        for (const name of ["usual", "low", "high", "tested"]) out[name].push(columns[name][place - 1]);
      }
      out.x.push(columns.t0 + step * columns.step);
      for (const name of Object.keys(out)) if (name !== "x") out[name].push(columns[name][place]);
    });
    return out;
  }

  function spans(alerts, end, severity) {
    const x = [];
    const y = [];
    for (const [begin, until, rank] of alerts) {
      if (rank !== severity) continue;
      const over = until === null ? end : until;
      x.push(begin, begin, over, over, begin, null);
      y.push(0, 1, 1, 0, 0, null);
    }
    return { x, y };
  }

  function company(chart, width) {
    const data = read(chart);
    const focus = chart.dataset.focus && data.alerts.find((alert) => alert[3] === chart.dataset.focus);
    const columns = (focus && data.fine) || data.coarse;
    const points = series(columns);
    const many = !focus && points.x.length > 200;
    const period = { xperiod: columns.step, xperiod0: columns.t0, xperiodalignment: "middle" };
    const edge = { type: "scatter", mode: "lines", x: points.x, line: { width: 0 }, hoverinfo: "skip", ...period };
    const traces = [
      { ...edge, y: points.low, showlegend: false, connectgaps: true },
      { ...edge, y: points.high, name: "its 90 % interval", fill: "tonexty", fillcolor: colour("band"), connectgaps: true },
    ];
    SEVERITIES.forEach((severity, rank) => {
      const span = spans(data.alerts, data.end, rank);
      if (!span.x.length) return;
      traces.push({
        type: "scatter", mode: "lines", ...span, fill: "toself", hoverinfo: "skip", showlegend: false, opacity: 0.35,
        fillcolor: colour(severity), line: { width: 1, color: colour(severity) },
      });
    });
    traces.push({
      type: "scatter", mode: "lines+markers", name: "share of negative votes", x: points.x, y: points.share, ...period,
      connectgaps: false, customdata: points.votes, opacity: many ? 0.7 : 1, line: { color: colour("share"), width: many ? 1 : 1.5 },
      marker: {
        color: colour("share"), line: { width: 0 },
        size: points.votes.map((votes) => Math.min(many ? 4 : 8, 2 + Math.sqrt(votes || 0) / 2)),
      },
      hovertemplate: "share %{y:.1%} of %{customdata} votes<extra></extra>",
    });
    traces.push({
      type: "scatter", mode: "lines", name: "usual share", x: points.x, y: points.usual, connectgaps: true, ...period,
      line: { color: colour("usual"), width: 2, dash: "dash" }, hovertemplate: "usual %{y:.1%}<extra></extra>",
    });
    if (points.tested.some((tested) => tested !== null)) {
      traces.push({
        type: "scatter", mode: "lines", name: "usual and margin", x: points.x, connectgaps: true, ...period,
        y: points.tested,
        line: { color: colour("usual"), width: 1, dash: "dot" }, hoverinfo: "skip",
      });
    }
    SEVERITIES.forEach((severity, rank) => {
      const alerts = data.alerts.filter((alert) => alert[2] === rank);
      if (!alerts.length) return;
      traces.push({
        type: "scatter", mode: "markers", name: severity + " alert", x: alerts.map((alert) => alert[0]),
        y: alerts.map(() => 1.045), customdata: alerts.map((alert) => [alert[3], alert[4]]), cliponaxis: false,
        marker: { symbol: SYMBOLS[rank], size: 10, color: colour(severity), line: { width: 1, color: colour("ground") } },
        hovertemplate: severity + ": %{customdata[1]}, %{x|%d %b %Y %H:%M} UTC<extra></extra>",
      });
    });
    const bars = { type: "bar", x: points.x, yaxis: "y2", ...period };
    traces.push(
      { ...bars, name: "mentions", y: points.mentions, marker: { color: colour("bar") }, hovertemplate: "%{y:,} mentions<extra></extra>" },
      { ...bars, name: "votes", y: points.votes, marker: { color: colour("bar-votes") }, hovertemplate: "%{y:,} votes<extra></extra>" },
    );
    const range = focus ? [focus[0] - AROUND, focus[0] + AROUND] : [data.start, data.end];
    const shape = layout({
      barmode: "overlay",
      bargap: 0,
      hovermode: "x unified",
      hoversubplots: "axis",
      margin: { l: 58, r: 14, t: 34, b: 62 },
      showlegend: false, // the page has one, which wraps on a narrow screen
      xaxis: { type: "date", range, anchor: "y2", title: { text: "UTC", standoff: 6 }, automargin: true, hoverformat: columns.step < DAY ? "%d %b %Y %H:%M" : "%d %b %Y" },
      yaxis: { domain: [0.34, 1], range: [0, 1.09], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1], fixedrange: true, showspikes: false, title: { text: "negative" } },
      yaxis2: { domain: [0, 0.26], rangemode: "tozero", tickformat: ",~s", fixedrange: true, showspikes: false, title: { text: "messages" } },
    });
    const tools = chart.parentElement.querySelector(".chart-tools");
    tools.hidden = !focus;
    $(".shown", tools).textContent = focus ? "Three days around one alert, by the hour" : "";
    return draw(chart, traces, shape, width);
  }

  const KINDS = { overview, company };

  function show(chart) {
    const again = (width) => KINDS[chart.dataset.chart](chart, width);
    const first = !charts.has(chart);
    charts.set(chart, again);
    return again().then(() => {
      chart.dataset.drawn = "yes";
      if (first && chart.dataset.chart === "company") {
        chart.on("plotly_click", (event) => {
          const point = event.points.find((found) => Array.isArray(found.customdata) && found.customdata[0]);
          if (point) location.hash = point.customdata[0];
        });
      }
    });
  }

  function openCompany(row, focus) {
    const more = document.getElementById(row.id + "-more");
    const chart = $(".chart", more);
    row.parentElement.hidden = false;
    more.hidden = false;
    $("button.open", row).setAttribute("aria-expanded", "true");
    const changed = (chart.dataset.focus || "") !== (focus || "");
    if (focus) chart.dataset.focus = focus;
    else delete chart.dataset.focus;
    if (read(chart) === null) chart.hidden = true; // alerts without a timeline
    else if (changed || !charts.has(chart)) show(chart);
  }

  function closeCompany(row) {
    document.getElementById(row.id + "-more").hidden = true;
    $("button.open", row).setAttribute("aria-expanded", "false");
  }

  // A fragment may name a company or an alert: what it names is opened, then scrolled to.
  function follow(focus) {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.matches("tbody.company > tr[id]")) openCompany(target, focus);
    if (target.matches("details")) target.open = true;
    target.scrollIntoView();
  }

  function sortCompanies(button) {
    const table = $("#company-table");
    const heading = button.closest("th");
    const key = button.dataset.sort;
    const usual = key === "name" ? "ascending" : "descending";
    const now = heading.getAttribute("aria-sort");
    const way = now === usual ? (usual === "ascending" ? "descending" : "ascending") : usual;
    $$("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const compare = key === "name"
      ? (a, b) => sign * a.dataset.name.localeCompare(b.dataset.name, "en")
      : (a, b) => sign * (Number(a.dataset[key]) - Number(b.dataset[key]));
    table.append(...$$("tbody.company", table).sort(compare));
  }

  function filterCompanies(text) {
    const wanted = text.trim().toLowerCase();
    const all = $$("tbody.company");
    all.forEach((body) => { body.hidden = !body.dataset.name.toLowerCase().includes(wanted); });
    const left = all.filter((body) => !body.hidden).length;
    $("#company-count").textContent = wanted ? left + " of " + all.length : "";
  }

  function orderAlerts(order) {
    const list = $("#alert-list");
    const key = order === "newest" ? "begin" : "strength";
    list.append(...$$("details.alert", list).sort((a, b) => Number(b.dataset[key]) - Number(a.dataset[key])));
  }

  function redraw(width) {
    for (const [chart, again] of charts) if (chart.offsetParent !== null) again(width);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const link = event.target.closest("a.show");
    if (link) {
      event.preventDefault();
      history.pushState(null, "", link.getAttribute("href"));
      follow(link.dataset.alert);
    } else if (button && button.matches(".open")) {
      const row = button.closest("tr");
      if (button.getAttribute("aria-expanded") === "true") closeCompany(row);
      else openCompany(row);
    } else if (button && button.matches(".whole")) {
      openCompany(document.getElementById(button.closest("tr").id.replace(/-more$/, "")));
    } else if (button && button.dataset.sort) {
      sortCompanies(button);
    } else if (button && (button.id === "open-all" || button.id === "close-all")) {
      $$("details.alert").forEach((alert) => { alert.open = button.id === "open-all"; });
    }
  });
  const find = $("#company-filter");
  if (find) find.addEventListener("input", () => filterCompanies(find.value));
  const order = $("#alert-order");
  if (order) order.addEventListener("change", () => orderAlerts(order.value));
  window.addEventListener("hashchange", () => follow());
  window.addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper"); // light colours, also for what plotly draws
    redraw(PRINT_WIDTH);
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    redraw();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  const first = $(".chart.overview");
  if (first) show(first);
  follow();
})();
