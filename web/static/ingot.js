// Ingot's pages work without this file. It keeps the board up to date, takes scans one after another, and adds keys.
// Everything that a laptop or a file told is put in place as text, never as markup.

const $ = (id) => document.getElementById(id);
const area = document.body.dataset.area;
const icons = document.body.dataset.icons;

/** A new id for a form: sent twice, it has one effect. */
function key() {
	const b = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');
}

function text(el, value) {
	if (el && el.textContent !== value) el.textContent = value;
}

function icon(el, name) {
	const use = el.querySelector('use');
	const href = `${icons}#${name}`;
	if (use && use.getAttribute('href') !== href) use.setAttribute('href', href);
}

// ---- the live board

/** Follows /live and gives each event to on(name, data). It connects anew after a loss, a sleep or a restart of the server,
 * and lets go while nobody looks: a browser has few connections to one server. */
function follow(on) {
	let source = null;
	let heard = 0;
	let wait = 0;
	const away = (is) => on('away', is);
	const close = () => { if (source) { source.close(); source = null; } };
	const open = () => {
		close();
		if (document.hidden) return;
		heard = Date.now();
		source = new EventSource('/live');
		for (const name of ['snapshot', 'delta', 'beat']) {
			source.addEventListener(name, (e) => {
				heard = Date.now();
				wait = 0;
				away(false);
				if (name !== 'beat') on(name, JSON.parse(e.data));
			});
		}
		source.onerror = () => {
			if (!source) return;
			if (wait++ > 1) away(true);
			if (source.readyState === EventSource.CLOSED) { // refused: it does not come back by itself
				close();
				signedOut().then((out) => { if (out) signIn(); }, () => {}); // the server does not answer: it is tried again
				setTimeout(open, Math.min(1000 * wait, 10000));
			}
		};
	};
	document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
	window.addEventListener('online', open);
	window.addEventListener('pageshow', (e) => { if (e.persisted) open(); });
	setInterval(() => { // after a sleep the connection may only look alive
		if (!document.hidden && Date.now() - heard > 32000) { away(true); open(); }
	}, 2000);
	open();
}

function fillTile(el, t) {
	el.id = `t-${t.id}`;
	el.className = `tile ${t.colour}`;
	const a = el.querySelector('a');
	const to = `/devices/${encodeURIComponent(t.id)}`;
	if (a.getAttribute('href') !== to) a.setAttribute('href', to);
	for (const f of el.querySelectorAll('[data-f]')) text(f, t[f.dataset.f] ?? '');
	el.querySelector('.name').classList.toggle('long', t.label.length > 11);
	icon(el.querySelector('.word'), t.icon);
	icon(el.querySelector('.safe'), t.plug);
	const bar = el.querySelector('progress');
	bar.hidden = t.percent < 0;
	bar.value = Math.max(0, t.percent);
	bar.setAttribute('aria-label', t.label);
}

function needItem(n, may) {
	const li = document.createElement('li');
	li.className = n.colour;
	const span = document.createElement('span');
	span.textContent = n.sentence;
	li.append(span);
	if (n.form && may) {
		const form = document.createElement('form');
		form.method = 'post';
		form.action = n.to;
		const hide = (name, value) => {
			const i = document.createElement('input');
			i.type = 'hidden'; i.name = name; i.value = value;
			form.append(i);
		};
		hide('key', key());
		if (n.code) hide('code', n.code);
		if (n.revision) hide('revision', n.revision);
		for (const d of n.device ?? []) hide('device', d);
		const b = document.createElement('button');
		b.textContent = n.button;
		form.append(b);
		li.append(form);
	} else if (n.button && !n.form) {
		const a = document.createElement('a');
		a.className = 'button';
		a.setAttribute('href', n.to);
		a.textContent = n.button;
		li.append(a);
	}
	return li;
}

/** Puts what people are needed for in place, and says whether there is another button now. Of a sentence that was there
 * already only the words change: who stands on its button stays there, and hears nothing again. */
function renewNeeds(list, needs) {
	const shape = (li) => {
		const form = li.querySelector('form');
		const act = li.querySelector('button, a');
		return JSON.stringify([act?.textContent, act?.getAttribute('href'), form?.getAttribute('action'), form && [...form.elements].filter((e) => e.name && e.name !== 'key').map((e) => [e.name, e.value])]);
	};
	const had = list.contains(document.activeElement) ? document.activeElement : null;
	const at = [...list.children].findIndex((li) => li.contains(had));
	const old = [...list.children].map((li) => [shape(li), li]);
	const next = needs.map((n) => {
		const made = needItem(n, list.dataset.may === 'true');
		const i = old.findIndex(([s]) => s === shape(made));
		if (i < 0) return made;
		const [[, li]] = old.splice(i, 1);
		if (li.className !== n.colour) li.className = n.colour;
		text(li.querySelector('span'), n.sentence);
		return li;
	});
	const changed = old.length > 0 || next.some((li) => !li.parentElement);
	for (const [, li] of old) li.remove();
	next.forEach((li, i) => { if (list.children[i] !== li) list.insertBefore(li, list.children[i] ?? null); });
	if (had && document.activeElement !== had) (had.isConnected ? had : next[Math.min(at, next.length - 1)]?.querySelector('button, a'))?.focus();
	return changed;
}

function board() {
	const tiles = $('tiles');
	const blank = $('tile-form').content.firstElementChild;
	const needs = $('needs');
	const words = new Map(); // of each tile, to tell changes aloud
	for (const el of tiles.children) words.set(el.id.slice(2), el.querySelector('[data-f=word]').textContent);

	const dense = () => {
		const n = tiles.childElementCount;
		tiles.className = `tiles ${n <= 8 ? 'n1' : n <= 18 ? 'n2' : n <= 32 ? 'n3' : 'n4'}`;
		$('empty').hidden = n > 0;
	};
	const put = (t) => {
		let el = $(`t-${t.id}`);
		if (!el) { el = blank.cloneNode(true); tiles.append(el); }
		fillTile(el, t);
		if (words.has(t.id) && words.get(t.id) !== t.word && !/\d/.test(t.word)) text($('told'), `${t.label}: ${t.word}`);
		words.set(t.id, t.word);
	};
	const drop = (id) => { $(`t-${id}`)?.remove(); words.delete(id); };
	const arrange = (ids) => {
		let at = tiles.firstElementChild;
		for (const id of ids) {
			const el = $(`t-${id}`);
			if (!el) continue;
			if (el === at) at = at.nextElementSibling; else tiles.insertBefore(el, at);
		}
	};
	const head = (h) => {
		for (const f of document.querySelectorAll('.head [data-f]')) text(f, String(h[f.dataset.f] ?? ''));
		const bench = $('benchform');
		if (bench) {
			bench.action = h.open ? '/bench/close' : '/bench/open';
			text(bench.querySelector('button'), h.open ? 'Close it' : 'Open for 4 hours');
		}
		if (renewNeeds(needs, h.needs ?? [])) short();
	};
	let toggle = null;
	const short = () => {
		const more = needs.childElementCount - 1;
		if (!toggle) {
			toggle = document.createElement('button');
			toggle.type = 'button';
			toggle.className = 'more-needs';
			toggle.addEventListener('click', () => { needs.classList.toggle('short'); short(); });
			needs.after(toggle);
		}
		toggle.hidden = more < 1;
		const open = !needs.classList.contains('short');
		toggle.setAttribute('aria-expanded', String(open));
		text(toggle, open ? 'Show only the first' : `and ${more} more`);
	};
	short();
	follow((name, data) => {
		if (name === 'away') { $('offline').hidden = !data; return; }
		if (name === 'snapshot') {
			const ids = new Set((data.tiles ?? []).map((t) => t.id));
			for (const el of [...tiles.children]) if (!ids.has(el.id.slice(2))) drop(el.id.slice(2));
			for (const t of data.tiles ?? []) put(t);
			arrange([...ids]);
			head(data.head);
		} else {
			for (const id of data.gone ?? []) drop(id);
			for (const t of data.tiles ?? []) put(t);
			if (data.order) arrange(data.order);
			if (data.head) head(data.head);
		}
		dense();
		document.body.dataset.live = String(Number(document.body.dataset.live ?? 0) + 1);
	});
}

// ---- other pages that follow a laptop or a list: they fetch themselves anew when something changed

/** Puts new rows in place of old ones. A row that was there already changes only in the cells that differ, and never in the
 * one with its box: what is ticked stays ticked, and who stands in the list stays where he is. */
function renewRows(body, next) {
	const had = body.contains(document.activeElement) ? document.activeElement : null;
	const old = new Map([...body.rows].map((tr) => [tr.dataset.id, tr]));
	const rows = [...next.rows].map((made) => {
		const tr = made.dataset.id ? old.get(made.dataset.id) : null;
		if (!tr) return made;
		old.delete(made.dataset.id);
		[...made.cells].forEach((cell, i) => {
			const is = tr.cells[i];
			const box = is.querySelector('input');
			if (box) { box.setAttribute('aria-label', cell.querySelector('input').getAttribute('aria-label')); return; }
			if (is.innerHTML === cell.innerHTML) return;
			const focused = is.contains(had);
			is.replaceChildren(...cell.childNodes);
			if (focused) is.querySelector('a')?.focus();
		});
		return tr;
	});
	for (const tr of old.values()) tr.remove();
	rows.forEach((tr, i) => { if (body.rows[i] !== tr) body.insertBefore(tr, body.rows[i] ?? null); });
	if (had?.isConnected && document.activeElement !== had) had.focus();
	body.dispatchEvent(new Event('change', { bubbles: true })); // how many are ticked
}

function refresh(ids) {
	let busy = false;
	let again = false;
	const fetchAgain = async () => {
		if (busy) { again = true; return; }
		busy = true;
		try {
			const r = await fetch(location.href, { headers: { Accept: 'text/html' } });
			if (!r.ok) return;
			const doc = new DOMParser().parseFromString(await r.text(), 'text/html');
			for (const el of document.querySelectorAll('[data-live-part]')) {
				const next = doc.querySelector(`[data-live-part="${CSS.escape(el.dataset.livePart)}"]`);
				if (!next) continue;
				if (el.tagName === 'TBODY') renewRows(el, next);
				else if (next.innerHTML !== el.innerHTML && !el.contains(document.activeElement)) el.replaceChildren(...next.childNodes);
			}
		} catch { /* the next change tries again */ } finally {
			setTimeout(() => { // sixty laptops at work are one look a second
				busy = false;
				if (again) { again = false; fetchAgain(); }
			}, 1000);
		}
	};
	let seen = false;
	follow((name, data) => {
		if (name === 'away') return;
		if (name === 'snapshot' && !seen) { seen = true; return; }
		const about = [...(data.tiles ?? []).map((t) => t.id), ...(data.gone ?? [])];
		if (name === 'snapshot' || ids === null || about.some((id) => ids.includes(id))) fetchAgain();
	});
}

// ---- scanning

let audio = null;
/** A high beep is good, a low one wants a look. */
function beep(good) {
	try {
		audio ??= new AudioContext();
		const tone = audio.createOscillator();
		const gain = audio.createGain();
		tone.frequency.value = good ? 1200 : 240;
		gain.gain.value = 0.15;
		tone.connect(gain).connect(audio.destination);
		tone.start();
		tone.stop(audio.currentTime + (good ? 0.09 : 0.35));
	} catch { /* a page without sound still flashes */ }
}

// signedOut asks whether the session has ended; then a page leads to the sign-in, and from there back to itself.
const signedOut = async () => (await fetch('/api/v1/me', { headers: { Accept: 'application/json' } })).status === 401;
const signIn = () => location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);

// plain is a text as a page may show it: without control characters, and without marks that turn the reading direction.
const plain = (s) => s.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');

function scanner() {
	const form = $('scanform');
	const box = $('scan');
	const list = $('scans');
	const waiting = [];
	const seen = new Set();
	let working = false;
	const tally = () => {
		const rows = [...list.children];
		const bad = rows.filter((r) => r.classList.contains('red')).length;
		text($('tally'), rows.length ? `${rows.length} scanned, ${rows.filter((r) => r.classList.contains('green') || r.classList.contains('blue')).length} done, ${bad} refused` : '');
	};
	const row = (what) => {
		const li = document.createElement('li');
		li.className = 'grey';
		const code = document.createElement('span');
		code.className = 'text';
		code.textContent = plain(what);
		const word = document.createElement('strong');
		word.textContent = 'waiting';
		const say = document.createElement('span');
		li.append(code, word, say);
		list.prepend(li);
		return li;
	};
	const show = (li, o) => {
		li.className = o.colour;
		void li.offsetWidth;
		li.classList.add('flash');
		li.children[1].textContent = o.word;
		li.children[2].textContent = o.sentence;
		if (o.device) {
			const a = document.createElement('a');
			a.setAttribute('href', `/devices/${encodeURIComponent(o.device)}`);
			a.textContent = o.label;
			li.children[0].replaceChildren(a);
		}
		beep(o.colour !== 'red' && o.colour !== 'yellow');
		tally();
	};
	const work = async () => {
		if (working) return;
		working = true;
		while (waiting.length) {
			const { what, li, body } = waiting.shift();
			for (let tries = 0; ; tries++) {
				try {
					const r = await fetch('/scan', { method: 'POST', headers: { Accept: 'application/json' }, body });
					if (r.status === 401) { signIn(); return; }
					const o = await r.json();
					if (o.fault) { seen.delete(what.toLowerCase()); show(li, { colour: 'red', word: 'refused', sentence: o.fault.fact || `The server refused it (${o.fault.code}).` }); } else {
						if (o.colour === 'red') seen.delete(what.toLowerCase());
						show(li, o);
						if (o.open && !waiting.length) { working = false; location.assign(`/devices/${encodeURIComponent(o.device)}`); return; }
					}
					break;
				} catch { // the server restarts, or the network is away: the same id is asked again
					li.children[1].textContent = 'not connected, trying again';
					if (tries === 0) beep(false);
					await new Promise((done) => setTimeout(done, Math.min(500 * (tries + 1), 5000)));
				}
			}
		}
		working = false;
	};
	form.addEventListener('submit', (e) => {
		e.preventDefault();
		const what = box.value.trim();
		box.value = '';
		box.focus();
		if (!what) return;
		if (seen.has(what.toLowerCase())) {
			const li = [...list.children].find((l) => l.dataset.what === what.toLowerCase());
			if (li) { li.classList.remove('flash'); void li.offsetWidth; li.classList.add('flash'); }
			text($('tally'), `${plain(what)} was scanned already`);
			return;
		}
		seen.add(what.toLowerCase());
		const body = new URLSearchParams(new FormData(form));
		body.set('what', what);
		body.set('key', key());
		const li = row(what);
		li.dataset.what = what.toLowerCase();
		waiting.push({ what, li, body });
		work();
	});
	document.addEventListener('keydown', (e) => { // a scanner types wherever the focus is
		if (e.key.length === 1 && !e.ctrlKey && !e.metaKey && !e.altKey && !typing(e.target)) box.focus();
	});
	box.focus();
}

// ---- keys

function typing(el) {
	return el instanceof HTMLElement && (el.isContentEditable || ['INPUT', 'SELECT', 'TEXTAREA'].includes(el.tagName) && !['checkbox', 'radio', 'submit', 'button'].includes(el.type));
}

function keys() {
	const rows = () => [...document.querySelectorAll('table.keys tbody tr, .tiles .tile')];
	let at = -1;
	const go = (step) => {
		const all = rows();
		if (!all.length) return;
		at = Math.min(all.length - 1, Math.max(0, at + step));
		all.forEach((r, i) => r.classList.toggle('at', i === at));
		(all[at].querySelector('a, input') ?? all[at]).focus();
		all[at].scrollIntoView({ block: 'nearest' });
	};
	document.addEventListener('keydown', (e) => {
		if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
		if (e.key === 'Escape' && typing(e.target)) { e.target.blur(); return; }
		if (typing(e.target) || document.querySelector('dialog[open]')) return;
		if (area === 'scan' && e.key !== '?' && e.key !== '/') return;
		const row = rows()[at];
		switch (e.key) {
		case '/': ($('scan') ?? $('search') ?? $('find'))?.focus(); break;
		case 'j': go(1); break;
		case 'k': go(-1); break;
		case 'x': { const box = row?.querySelector('input[type=checkbox]'); if (!box) return; box.click(); break; }
		case 'a': { const acts = document.querySelector('#acts button, #acts a, #acts summary, .needs button, .needs .button'); if (!acts) return; acts.focus(); acts.scrollIntoView({ block: 'nearest' }); break; }
		case '?': $('keys').showModal(); break;
		default: return;
		}
		e.preventDefault();
	});
}

function ticks() {
	const form = $('devices');
	if (!form) return;
	const boxes = () => [...form.querySelectorAll('input[name=device]')];
	const all = $('tick-all');
	const count = () => {
		const n = boxes().filter((b) => b.checked).length;
		text($('ticked'), n === 0 ? 'Tick laptops, then' : n === 1 ? '1 ticked' : `${n} ticked`);
		$('acts')?.classList.toggle('idle', n === 0);
		if (all) { all.checked = n > 0 && n === boxes().length; all.indeterminate = n > 0 && n < boxes().length; }
	};
	let last = null;
	form.addEventListener('click', (e) => {
		if (e.target.name !== 'device') return;
		if (e.shiftKey && last) {
			const list = boxes();
			const [from, to] = [list.indexOf(last), list.indexOf(e.target)].sort((x, y) => x - y);
			for (const b of list.slice(from, to + 1)) b.checked = e.target.checked;
		}
		last = e.target;
	});
	form.addEventListener('change', count);
	all?.addEventListener('change', () => { for (const b of boxes()) b.checked = all.checked; count(); });
	count();
}

// ---- forms: a second press while the first is on its way does nothing

document.addEventListener('submit', (e) => {
	const form = e.target;
	if (e.defaultPrevented || form.method !== 'post') return;
	if (form.dataset.sent) { e.preventDefault(); return; }
	form.dataset.sent = '1';
	for (const b of form.querySelectorAll('button')) b.setAttribute('aria-busy', 'true');
});
window.addEventListener('pageshow', () => {
	for (const f of document.querySelectorAll('form[data-sent]')) {
		delete f.dataset.sent;
		for (const b of f.querySelectorAll('button')) b.removeAttribute('aria-busy');
	}
});

keys();
ticks();
if (area === 'bench' && $('tiles')) board();
if ($('scanform')) scanner();
const parts = document.querySelector('[data-follow]');
if (parts) refresh(parts.dataset.follow === '*' ? null : parts.dataset.follow.split(' '));
document.querySelector('[role=alert]')?.scrollIntoView({ block: 'nearest' });
