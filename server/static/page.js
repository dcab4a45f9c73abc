// What only the browser can do: take photos, light up what belongs together, zoom, listen to keys.
"use strict";
(() => {
  const one = (query, from = document) => from.querySelector(query);
  const all = (query, from = document) => [...from.querySelectorAll(query)];
  const root = document.documentElement;

  // Light and dark: as the system has it, until the person chooses.
  const kept = (() => { try { return localStorage.getItem("graticule-theme"); } catch { return null; } })();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const theme = (name) => {
    root.dataset.theme = name;
    root.style.colorScheme = name;
    one("#nicegui-color-scheme")?.setAttribute("content", name);
    all("[data-act=theme]").forEach((b) => b.setAttribute("aria-pressed", String(name === "dark")));
  };
  theme(kept || (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => { if (!kept) theme(system.matches ? "dark" : "light"); });
  const toggleTheme = () => {
    const name = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("graticule-theme", name); } catch { /* a private window */ }
    theme(name);
  };

  const say = (text) => {
    const live = one("#live");
    if (live) { live.textContent = ""; setTimeout(() => { live.textContent = text; }, 30); }
  };
  const trouble = (text) => {
    const box = one("#trouble");
    if (!box) return;
    one(".trouble-text", box).textContent = text;
    box.hidden = !text;
  };

  // The composer: files and a drawn region wait here until they are sent.
  let files = [], region = null, sending = false;
  const room = () => one("[data-session]")?.dataset.session || "";

  function add(list) {
    const pictures = [...list].filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|heic|heif|tiff?|bmp|gif|avif)$/i.test(file.name));
    if (list.length && !pictures.length) { trouble("That is no picture; give a JPEG, PNG, WebP, HEIC or TIFF file."); return; }
    if (!pictures.length) return;
    trouble("");
    files = [...files, ...pictures].slice(0, 8);
    if (!room() && one("#composer.first")) { send(); return; }
    chips();
    one("#message")?.focus();
  }

  function chips() {
    const row = one("#chips");
    if (!row) return;
    row.replaceChildren();
    files.forEach((file, index) => {
      const chip = document.createElement("span");
      chip.className = "chip";
      const image = document.createElement("img");
      image.src = URL.createObjectURL(file);
      image.alt = "";
      image.onload = () => URL.revokeObjectURL(image.src);
      chip.append(image, document.createTextNode(file.name || "pasted photo"), cross(`Leave out ${file.name}`, () => { files.splice(index, 1); chips(); }));
      row.append(chip);
    });
    if (region) {
      const chip = document.createElement("span");
      chip.className = "chip";
      const pick = document.createElement("select");
      pick.setAttribute("aria-label", "What the drawn area means");
      for (const [value, text] of [["in", "Taken in the drawn area"], ["out", "Not in the drawn area"]])
        pick.add(new Option(text, value, false, (value === "out") === (region.properties?.inside === false)));
      pick.onchange = () => { region.properties = { ...region.properties, inside: pick.value === "in" }; };
      chip.append(pick, cross("Leave out the drawn area", () => { region = null; graticuleMap.clearDrawn(); chips(); }));
      row.append(chip);
    }
    row.hidden = !row.children.length;
  }

  function cross(label, act) {
    const made = document.createElement("button");
    made.type = "button"; made.className = "cross"; made.textContent = "×";
    made.setAttribute("aria-label", label);
    made.onclick = act;
    return made;
  }

  async function send() {
    if (sending) return;
    const field = one("#message"), text = field?.value.trim() || "";
    if (!text && !files.length && !region) { field?.focus(); return; }
    if (!room() && !files.length) { trouble("Begin with a photo: choose, drop or paste one."); return; }
    const waiting = one("[data-waiting]");
    if (waiting && !files.length && !region) {
      emitEvent("reply", text);
      field.value = ""; grow(field);
      return;
    }
    sending = true;
    document.body.classList.add("sending");
    trouble("");
    const form = new FormData();
    form.set("session", room());
    form.set("text", text);
    form.set("options", one("#start-options")?.dataset.options || "{}");
    if (region) form.set("region", JSON.stringify(region));
    files.forEach((file) => form.append("photos", file, file.name || "pasted.png"));
    try {
      const reply = await fetch("/page/files/say", { method: "POST", body: form });
      const told = await reply.json().catch(() => ({}));
      if (!reply.ok) { trouble(told.detail || `The server refused (${reply.status}).`); if (!room()) files = []; return; }
      field.value = ""; grow(field);
      files = []; region = null;
      graticuleMap.clearDrawn();
      chips();
      if (told.session !== room()) location.assign(`/page/s/${told.session}`);
    } catch {
      trouble("The server cannot be reached; what you wrote is still here. Try again.");
    } finally {
      sending = false;
      document.body.classList.remove("sending");
    }
  }

  function grow(field) {
    if (!field) return;
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 160)}px`;
  }

  // What belongs together lights up together: evidence, its box on the photo, its candidates.
  let litNow = "";
  function lit(evidence) {
    if (evidence === litNow) return;
    litNow = evidence;
    all(".lit").forEach((node) => node.classList.remove("lit"));
    if (evidence) all(`[data-ev="${CSS.escape(evidence)}"]`).forEach((node) => node.classList.add("lit"));
  }

  // The lens: a round window over a picture, by mouse, by tapping, or by arrow keys.
  const at = { frame: null, x: 0.5, y: 0.5, zoom: 3 };
  const hideLens = () => { const glass = one("#lens"); if (glass) glass.hidden = true; };

  function drawLens() {
    const picture = at.frame && one("img", at.frame);
    if (!picture?.naturalWidth || !at.frame.classList.contains("lensed")) { hideLens(); return; }
    let glass = one("#lens");
    if (!glass) {
      glass = document.createElement("div");
      glass.id = "lens"; glass.setAttribute("aria-hidden", "true");
      document.body.append(glass);
    }
    const box = picture.getBoundingClientRect(), size = 220;
    glass.hidden = false;
    glass.style.left = `${box.left + at.x * box.width - size / 2}px`;
    glass.style.top = `${box.top + at.y * box.height - size / 2}px`;
    glass.style.backgroundImage = `url("${picture.dataset.full || picture.currentSrc}")`;
    glass.style.backgroundSize = `${box.width * at.zoom}px ${box.height * at.zoom}px`;
    glass.style.backgroundPosition = `${size / 2 - at.x * box.width * at.zoom}px ${size / 2 - at.y * box.height * at.zoom}px`;
  }

  function lens(event) {
    const touch = event.pointerType === "touch";
    if (touch && event.type === "pointermove" && one("#lens")?.hidden !== false) return;
    const frame = event.target.closest?.("[data-lens]"), picture = frame && one("img", frame);
    const box = picture?.getBoundingClientRect();
    const x = box ? (event.clientX - box.left) / box.width : -1, y = box ? (event.clientY - box.top) / box.height : -1;
    if (x < 0 || x > 1 || y < 0 || y > 1) { if (!touch || event.type === "pointerdown") hideLens(); return; }
    Object.assign(at, { frame, x, y });
    drawLens();
  }

  function lensKey(event) {
    const frame = event.target.closest?.("[data-lens]");
    if (!frame || event.target !== frame) return false;
    const step = event.shiftKey ? 0.1 : 0.03, glass = one("#lens");
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
    if (event.key === "Escape" && glass && !glass.hidden) { hideLens(); return true; }
    if (!moves[event.key] && !zooms[event.key]) return false;
    if (at.frame !== frame) Object.assign(at, { frame, x: 0.5, y: 0.5 });
    const [dx, dy] = moves[event.key] || [0, 0];
    at.x = Math.min(1, Math.max(0, at.x + dx)); at.y = Math.min(1, Math.max(0, at.y + dy));
    at.zoom = Math.min(8, Math.max(1.5, at.zoom * (zooms[event.key] || 1)));
    frame.classList.add("lensed");
    all(`[data-act=lens][data-frame="${frame.id}"]`).forEach((b) => b.setAttribute("aria-pressed", "true"));
    drawLens();
    return true;
  }

  // Tabs, as the ARIA practices have them.
  function choose(tab, focus = true) {
    if (!tab) return;
    const list = tab.closest("[role=tablist]");
    for (const other of all("[role=tab]", list)) {
      const mine = other === tab;
      other.setAttribute("aria-selected", String(mine));
      other.tabIndex = mine ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      if (panel) panel.hidden = !mine;
    }
    if (focus) tab.focus();
  }

  function open(id) { const box = document.getElementById(id); if (box && !box.open) box.showModal(); }

  function show(evidence) {
    const row = one(`#panel-evidence [data-ev="${CSS.escape(evidence)}"]`);
    if (!row) return;
    choose(one("#tab-evidence"), false);
    row.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    row.focus({ preventScroll: true });
    lit(evidence);
  }

  const acts = {
    theme: toggleTheme, send,
    help: () => open("help"),
    pick: () => one("#files")?.click(),
    area: () => graticuleMap.draw("Polygon"),
    box: () => graticuleMap.draw("Rectangle"),
    home: () => graticuleMap.home(),
    close: (button) => { const box = button.closest("dialog"); if (box) box.close(); else graticuleMap.close(); },
    world: () => graticuleMap.world(),
    quiet: () => trouble(""),
    rail: () => {
      const shown = document.body.classList.toggle("rail-open");
      all("[data-act=rail]").forEach((b) => b.setAttribute("aria-expanded", String(shown)));
      if (shown) one("#search")?.focus();
    },
    copy: async (button) => {
      try { await navigator.clipboard.writeText(button.dataset.text); say("Copied"); button.classList.add("done"); setTimeout(() => button.classList.remove("done"), 1200); }
      catch { trouble("The browser does not allow copying here; select the text instead."); }
    },
    lens: (button) => {
      const frame = one(`#${button.dataset.frame}`);
      const on = frame?.classList.toggle("lensed");
      button.setAttribute("aria-pressed", String(!!on));
      if (!on) hideLens();
    },
    boxes: (button) => {
      const off = one("#photo-frame")?.classList.toggle("no-boxes");
      button.setAttribute("aria-pressed", String(!off));
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) { acts[button.dataset.act]?.(button); return; }
    const opener = event.target.closest("[data-open]");
    if (opener) { open(opener.dataset.open); return; }
    const tab = event.target.closest("[role=tab]");
    if (tab) { choose(tab); return; }
    const evidence = event.target.closest("[data-show]");
    if (evidence) { show(evidence.dataset.show); return; }
    const spot = event.target.closest("[data-go]");
    if (spot) { const [lat, lon] = spot.dataset.go.split(",").map(Number); graticuleMap.go(lat, lon); }
    if (event.target.tagName === "DIALOG") event.target.close();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "files") { add(event.target.files); event.target.value = ""; }
  });
  document.addEventListener("input", (event) => { if (event.target.id === "message") grow(event.target); });
  document.addEventListener("paste", (event) => {
    const found = [...(event.clipboardData?.files || [])];
    if (found.length && one("#composer")) { event.preventDefault(); add(found); }
  });
  const holdsFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  let inside = 0;
  addEventListener("dragenter", (event) => { if (holdsFiles(event)) { inside += 1; document.body.classList.add("dropping"); } });
  addEventListener("dragleave", (event) => { if (holdsFiles(event) && --inside <= 0) { inside = 0; document.body.classList.remove("dropping"); } });
  addEventListener("dragover", (event) => { if (holdsFiles(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    inside = 0;
    document.body.classList.remove("dropping");
    if (one("#composer")) add(event.dataTransfer.files);
  });
  for (const type of ["pointerover", "focusin"])
    document.addEventListener(type, (event) => lit(event.target.closest?.("[data-ev]")?.dataset.ev || ""));
  for (const type of ["pointermove", "pointerdown"]) document.addEventListener(type, lens, { passive: true });
  document.addEventListener("scroll", hideLens, { capture: true, passive: true });
  document.addEventListener("focusout", (event) => { if (event.target === at.frame && !at.frame.contains(event.relatedTarget)) hideLens(); });

  const keys = {
    "?": () => open("help"), m: () => one("#message")?.focus(), n: () => location.assign("/page/"),
    t: toggleTheme, "/": () => { document.body.classList.add("rail-open"); one("#search")?.focus(); },
    s: () => one("#stop:not([hidden])")?.click(), f: () => open("fork"), e: () => open("export"),
    o: () => open("options"), v: () => choose(one("#tab-verdict")), 1: () => choose(one("#tab-photo")),
    2: () => choose(one("#tab-evidence")), 3: () => choose(one("#tab-candidates")),
    4: () => choose(one("#tab-pairs")), 0: () => graticuleMap.home(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "message" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
      return;
    }
    if (lensKey(event)) { event.preventDefault(); return; }
    const tab = event.target.closest?.("[role=tab]");
    if (tab) {
      const tabs = all("[role=tab]", tab.closest("[role=tablist]")), at = tabs.indexOf(tab);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to !== undefined) { event.preventDefault(); choose(tabs[(to + tabs.length) % tabs.length]); return; }
    }
    if (event.key === "Escape") { document.body.classList.remove("rail-open"); graticuleMap.clearDrawn(); }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input, textarea, select, dialog[open], .leaflet-container")) return;
    if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
  });

  // The conversation stays at its end unless the person has scrolled up to read.
  let stuck = true;
  function follow(box) {
    box.addEventListener("scroll", () => { stuck = box.scrollHeight - box.scrollTop - box.clientHeight < 80; }, { passive: true });
    new MutationObserver(() => { if (stuck) box.scrollTop = box.scrollHeight; }).observe(box, { childList: true, subtree: true });
    box.scrollTop = box.scrollHeight;
  }
  const ready = setInterval(() => {
    const box = one("#talk-scroll");
    if (!one("#message")) return;
    clearInterval(ready);
    theme(root.dataset.theme);
    if (box) follow(box);
    document.body.classList.add("ready");
  }, 60);

  window.graticule = {
    lit, say, trouble, open, choose,
    attachRegion(feature) {
      region = { ...feature, properties: { inside: true } };
      chips();
      one("#message")?.focus();
      say("The drawn area will be sent with your next message");
    },
    close(id) { document.getElementById(id)?.close(); },
  };
})();
