// How times, durations, sizes and numbers are written.

const two = (number) => String(number).padStart(2, "0");

// Sizes and durations follow the rules of `formats.py`, so that the page and the terminal write the same.

const tenths = (number) => (Math.round(number * 10) / 10).toFixed(1);

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0) seconds = 0;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${tenths(seconds)} s`;
  const all = Math.round(seconds);
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`;
  if (all < 86_400) return `${Math.floor(all / 3600)} h ${Math.floor((all % 3600) / 60)} min`;
  return `${Math.floor(all / 86_400)} d ${Math.floor((all % 86_400) / 3600)} h`;
}

/** A duration in a few letters: "54 s", "7 min", "3 h", "2 d". */
export function shortDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 59.5) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 84_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function ago(time, now = Date.now() / 1000) {
  if (!time) return "–";
  const passed = now - time;
  if (passed < 5) return "just now";
  return `${shortDuration(passed)} ago`;
}

function sameDay(a, b) {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

/** "14:03:21" today, else "28 Nov 14:03". */
export function moment(time, now = Date.now() / 1000) {
  if (!time) return "–";
  const date = new Date(time * 1000);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}`;
  if (sameDay(date, new Date(now * 1000))) return `${clock}:${two(date.getSeconds())}`;
  const month = date.toLocaleString("en", { month: "short" });
  const year = date.getFullYear() === new Date(now * 1000).getFullYear() ? "" : ` ${date.getFullYear()}`;
  return `${date.getDate()} ${month}${year} ${clock}`;
}

/** "14:03:21.048" */
export function clock(time, digits = 3) {
  const date = new Date(time * 1000);
  const text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return digits ? `${text}.${String(Math.floor((time % 1) * 10 ** digits)).padStart(digits, "0")}` : text;
}

/** The full time for a tooltip. */
export function fullTime(time) {
  if (!time) return "";
  const date = new Date(time * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time)}`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  if (bytes < 999.5) return `${Math.round(bytes)} B`;
  for (const unit of ["KiB", "MiB", "GiB", "TiB"]) {
    bytes /= 1024;
    if (bytes < 999.5 || unit === "TiB") return `${bytes < 9.95 ? tenths(bytes) : Math.round(bytes)} ${unit}`;
  }
}

const grouped = new Intl.NumberFormat("en"); // made once: making one takes longer than its work

export function count(number) {
  return number === null || number === undefined ? "–" : grouped.format(number);
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`;
}

/** CPU as a share of one CPU: 1.5 is "150 %". */
export const cpu = percent;

export function number(value) {
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4)) return value.toExponential(3);
  return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(5)));
}

/** The last part of a full name: "root.trials.train_0" -> "train_0". */
export function lastPart(name) {
  return name.slice(name.lastIndexOf(".") + 1);
}

/**
 * Short names of components: for each full name its shortest end that is unique and not a bare number.
 *
 * "root.trains.0" and "root.tests.0" are "trains.0" and "tests.0"; "root.load" is "load".
 */
export function shortNames(names) {
  const ends = new Map(); // how many names have an end
  const partsOf = (name) => name.split(".");
  const unique = new Set(names);
  for (const name of unique) {
    const parts = partsOf(name);
    for (let first = 0; first < parts.length; first += 1) {
      const end = parts.slice(first).join(".");
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  }
  const short = new Map();
  for (const name of unique) {
    const parts = partsOf(name);
    let first = parts.length - 1;
    while (first > 0 && (ends.get(parts.slice(first).join(".")) > 1 || /^\d+$/.test(parts[first]))) first -= 1;
    short.set(name, parts.slice(first).join("."));
  }
  return (name) => short.get(name) ?? shortName(name);
}

/** A short name of one component, without a look at the others. */
export function shortName(name) {
  const last = lastPart(name);
  return /^\d+$/.test(last) && last.length < name.length ? `${lastPart(name.slice(0, -last.length - 1))}.${last}` : last;
}

/** A command as a shell line, with quotes where they are needed. */
export function commandLine(words) {
  return (words ?? []).map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(" ");
}
