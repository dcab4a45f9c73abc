// Draws what the server says on NiceGUI's Leaflet; texts become text nodes, never markup.
"use strict";
(() => {
  const FILES = "/page/files";
  const css = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const state = { map: null, data: null, groups: {}, land: null, near: null, timer: 0 };

  const landStyle = () => ({
    stroke: true, color: css("--border"), weight: 0.8, fill: true, fillColor: css("--land"),
    fillOpacity: 1, fillRule: "evenodd", interactive: false, smoothFactor: 0,
  });

  function rings(rows, shift) {
    const byCode = new Map();
    for (const [code, flat] of rows) {
      const ring = [];
      for (let i = 0; i < flat.length; i += 2) ring.push([flat[i], flat[i + 1] + shift]);
      if (!byCode.has(code)) byCode.set(code, []);
      byCode.get(code).push(ring);
    }
    return byCode;
  }

  function landLayers(rows, shifts, renderer) {
    const made = [];
    for (const shift of shifts)
      for (const [code, some] of rings(rows, shift)) {
        const share = (state.data?.countries || {})[code] || 0;
        const style = { ...landStyle(), renderer, pane: "land" };
        if (share >= 0.01) style.fillColor = mix(share);
        const one = L.polygon(some, style);
        one.code = code;
        made.push(one);
      }
    return made;
  }

  function mix(share) {
    return `color-mix(in srgb, ${css("--belief")} ${Math.round(8 + 52 * share)}%, ${css("--land")})`;
  }

  function solid(colour) {  // canvas wants a colour that it knows: have the browser work it out
    const probe = document.createElement("span");
    probe.style.color = colour;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function graticule(map) {
    const zoom = map.getZoom();
    const step = [30, 30, 15, 10, 5, 2, 1, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01][Math.min(Math.max(Math.round(zoom), 0), 12)]
      || 0.01;
    const bounds = map.getBounds();
    const lines = [];
    const south = Math.max(-85, bounds.getSouth() - step), north = Math.min(85, bounds.getNorth() + step);
    const west = bounds.getWest() - step, east = bounds.getEast() + step;
    for (let lon = Math.floor(west / step) * step; lon <= east; lon += step)
      lines.push([[south, lon], [north, lon]]);
    for (let lat = Math.ceil(south / step) * step; lat <= north; lat += step)
      lines.push([[lat, west], [lat, east]]);
    state.groups.graticule.clearLayers();
    if (lines.length < 200)
      L.polyline(lines, { className: "graticule-line", interactive: false, pane: "grid" })
        .addTo(state.groups.graticule);
  }

  async function nearLand(map) {
    const zoom = map.getZoom();
    state.groups.near.clearLayers();
    state.land?.forEach((one) => one.setStyle({ opacity: 1, fillOpacity: 1 }));
    if (zoom < 4.5 || state.plain === false) return;
    const bounds = map.getBounds().pad(0.35);
    const turn = Math.floor((map.getCenter().lng + 180) / 360) * 360;
    const west = Math.max(-180, bounds.getWest() - turn), east = Math.min(180, bounds.getEast() - turn);
    const south = Math.max(-90, bounds.getSouth()), north = Math.min(90, bounds.getNorth());
    if (!(west < east && south < north)) return;
    const snap = (value, up) => (up ? Math.ceil(value * 4) : Math.floor(value * 4)) / 4;
    const query = new URLSearchParams({
      south: Math.max(-90, snap(south, 0)), west: Math.max(-180, snap(west, 0)),
      north: Math.min(90, snap(north, 1)), east: Math.min(180, snap(east, 1)),
      tolerance: Math.max(0.002, 0.35 / 2 ** zoom).toPrecision(2),
    });
    const asked = ++state.timer;
    const reply = await fetch(`${FILES}/outlines?${query}`);
    if (!reply.ok || asked !== state.timer) return;
    const rows = await reply.json();
    const box = [[+query.get("south"), +query.get("west") + turn], [+query.get("north"), +query.get("east") + turn]];
    L.rectangle(box, { renderer: state.nearCanvas, pane: "near", stroke: false, fillColor: solid(css("--sea")),
      fillOpacity: 1, interactive: false }).addTo(state.groups.near);
    const shown = landLayers(rows, [turn], state.nearCanvas);
    for (const one of shown) {
      one.options.pane = "near";
      one.options.fillColor = solid(one.options.fillColor);
      one.options.color = solid(one.options.color);
      one.addTo(state.groups.near);
    }
  }

  // Names of towns, the largest first, each where it covers no other.
  async function towns(map) {
    const bounds = map.getBounds(), asked = state.townsAsked = (state.townsAsked || 0) + 1;
    const turn = Math.floor((map.getCenter().lng + 180) / 360) * 360;
    const query = new URLSearchParams({
      south: Math.max(-90, bounds.getSouth()).toFixed(3), north: Math.min(90, bounds.getNorth()).toFixed(3),
      west: Math.max(-180, bounds.getWest() - turn).toFixed(3), east: Math.min(180, bounds.getEast() - turn).toFixed(3),
    });
    if (map.getZoom() < 4 || +query.get("west") >= +query.get("east")) { state.groups.towns.clearLayers(); return; }
    const reply = await fetch(`${FILES}/towns?${query}`);
    if (!reply.ok || asked !== state.townsAsked) return;
    const taken = [];
    const answer = state.data?.answer;
    if (answer) { const p = map.latLngToContainerPoint([answer.lat, answer.lon]); taken.push([p.x - 16, p.y - 16, p.x + 16, p.y + 16]); }
    state.groups.towns.clearLayers();
    for (const [name, lat, lon, people] of await reply.json()) {
      const at = map.latLngToContainerPoint([lat, lon + turn]);
      const box = [at.x - 8, at.y - 11, at.x + 14 + 7.2 * name.length, at.y + 11];
      if (taken.some((b) => box[0] < b[2] && box[2] > b[0] && box[1] < b[3] && box[3] > b[1])) continue;
      taken.push(box);
      const label = document.createElement("span");
      label.textContent = name;
      L.marker([lat, lon + turn], { interactive: false, keyboard: false, pane: "towns",
        icon: L.divIcon({ className: people > 400000 ? "town big" : "town", html: label, iconSize: null, iconAnchor: [2, 7] }) })
        .addTo(state.groups.towns);
    }
  }

  function popup(title, rows) {
    const box = document.createElement("div");
    box.className = "popup";
    const head = document.createElement("strong");
    head.textContent = title;
    box.append(head);
    for (const row of rows.filter(Boolean)) {
      const line = document.createElement("div");
      line.textContent = row;
      box.append(line);
    }
    return box;
  }

  function mark(layer, evidence, kind, title) {
    layer.on("add", () => {
      const node = layer.getElement?.();
      if (!node) return;
      if (evidence) node.dataset.ev = evidence;
      node.dataset.kind = kind;
      if (title) { node.setAttribute("aria-label", title); node.setAttribute("role", "img"); }
    });
    return layer;
  }

  const near = (lon, middle) => lon + 360 * Math.round((middle - lon) / 360);

  function draw(data) {
    const { map } = state;
    if (!map) return;
    const before = state.data;
    state.data = data;
    const mid = data.middle;
    const found = state.groups.found.clearLayers();
    for (const area of data.regions || [])
      L.polygon(area.rings.map((ring) => ring.map(([a, o]) => [a, near(o, mid)])),
        { className: `region-area ${area.inside ? "inside" : "outside"}` })
        .bindPopup(popup(area.inside ? "Drawn by you: inside" : "Drawn by you: not here", []))
        .addTo(found);
    for (const ring of [...(data.rings || [])].reverse())
      mark(L.polygon(ring.points, { className: `ring r${ring.percent}${ring.wide ? " wide" : ""}`, interactive: false, smoothFactor: 0 }), "", "ring")
        .addTo(found);
    for (const one of data.clusters || [])
      mark(L.polygon(one.points, { className: "cluster", interactive: true }), "", "cluster", one.title)
        .bindPopup(popup(one.title, one.lines)).addTo(found);
    for (const one of [...(data.candidates || [])].reverse()) {
      const made = L.circleMarker([one.lat, near(one.lon, mid)], {
        radius: one.kept ? 6 : 4.5, className: `candidate ${one.fate}`,
      });
      made.bindPopup(popup(one.title, one.lines), { maxWidth: 280 });
      made.on("mouseover", () => window.graticule.lit(one.ev));
      made.on("mouseout", () => window.graticule.lit(""));
      mark(made, one.ev, one.fate, one.title).addTo(found);
    }
    for (const one of data.alternatives || [])
      icon([one.lat, near(one.lon, mid)], "alternative", one.title, one.lines).addTo(found);
    if (data.claimed)
      icon([data.claimed.lat, near(data.claimed.lon, mid)], "claimed", "Position claimed by the file",
        ["Metadata can be wrong or made up; it has no effect here."]).addTo(found);
    if (data.answer)
      icon([data.answer.lat, data.answer.lon], "answer", data.answer.title, data.answer.lines).addTo(found);
    recolour();
    towns(map);
    if (data.fit && JSON.stringify(data.fit) !== JSON.stringify(before?.fit)) fit(data.fit);
  }

  function icon(at, kind, title, lines) {
    const made = L.marker(at, {
      icon: L.divIcon({ className: `pin ${kind}`, iconSize: [26, 26], popupAnchor: [0, -8] }),
      keyboard: true, title, alt: title, zIndexOffset: kind === "answer" ? 1000 : 0,
    });
    return made.bindPopup(popup(title, lines), { maxWidth: 280 });
  }

  function fit(bounds, maxZoom = 14) {
    state.map.fitBounds(bounds, { padding: [28, 28], maxZoom, animate: false });
  }

  function recolour() {
    const tinted = state.data?.countries || {};
    state.land?.forEach((one) => {
      const share = tinted[one.code] || 0;
      one.setStyle({ color: solid(css("--border")), fillColor: solid(share >= 0.01 ? mix(share) : css("--land")) });
    });
    if (state.map) nearLand(state.map);
  }

  async function start(id, options) {
    const element = getElement(id);
    if (!element?.map) { setTimeout(() => start(id, options), 60); return; }
    const map = state.map = element.map;
    if (map.graticule) { if (state.pending) draw(state.pending); return; }
    map.graticule = true;
    map.attributionControl?.setPrefix(false);
    map.getContainer().setAttribute("role", "region");
    map.getContainer().setAttribute("aria-label", "Map of the answer and its candidates; arrow keys move it, plus and minus zoom");
    for (const [pane, index] of [["land", 210], ["near", 220], ["grid", 230], ["towns", 240]]) {
      map.createPane(pane).style.zIndex = index;
      map.getPane(pane).style.pointerEvents = "none";
    }
    state.landCanvas = L.canvas({ pane: "land", padding: 0.3 });
    state.nearCanvas = L.canvas({ pane: "near", padding: 0.3 });
    for (const name of ["near", "graticule", "towns", "found", "drawn"])
      state.groups[name] = L.featureGroup().addTo(map);
    L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
    for (const tiles of options.tiles || [])
      state.tiled = [...(state.tiled || []), L.tileLayer(tiles.url, { attribution: tiles.attribution, maxZoom: 19, pane: "tilePane" })];
    if (state.tiled) {
      const names = { "Outlines": L.layerGroup() };
      options.tiles.forEach((one, index) => { names[one.name] = state.tiled[index]; });
      L.control.layers(names, null, { position: "topright" }).addTo(map);
      map.on("baselayerchange", (event) => {
        const plain = state.plain = event.name === "Outlines";
        map.getPane("land").style.display = plain ? "" : "none";
        map.getPane("near").style.display = plain ? "" : "none";
        map.getPane("towns").style.display = plain ? "" : "none";
        if (plain) nearLand(map);
      });
      names["Outlines"].addTo(map);
    }
    map.on("moveend", () => { graticule(map); nearLand(map); towns(map); });
    map.on("draw:created", (event) => drawn(event.layer));
    new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    graticule(map);
    if (state.pending) draw(state.pending);
    const reply = await fetch(`${FILES}/outlines`);
    const rows = await reply.json();
    state.land = landLayers(rows, [-360, 0, 360], state.landCanvas);
    state.land.forEach((one) => one.addTo(map));
    recolour();
  }

  function drawn(layer) {
    state.groups.drawn.clearLayers();
    layer.addTo(state.groups.drawn);
    layer.setStyle?.({ className: "region-area inside" });
    layer.getElement?.()?.classList.add("region-area", "inside");
    window.graticule.attachRegion(layer.toGeoJSON());
  }

  window.graticuleMap = {
    start,
    show(data) { state.pending = data; if (state.map?.graticule) draw(data); },
    draw(kind) {
      if (!state.map || !L.Draw) return;
      state.tool?.disable();
      state.tool = new L.Draw[kind](state.map, { shapeOptions: { className: "region-area inside" }, allowIntersection: false });
      state.tool.enable();
    },
    clearDrawn() { state.tool?.disable(); state.groups.drawn?.clearLayers(); },
    close() { if (state.data?.close) fit(state.data.close, 17); },
    home() { if (state.data?.fit) fit(state.data.fit); },
    world() { state.map?.setView([20, state.data?.middle || 0], 1); },
    go(latitude, longitude) {
      state.map?.setView([latitude, near(longitude, state.data?.middle || 0)], Math.max(state.map.getZoom(), 9));
    },
  };
})();
