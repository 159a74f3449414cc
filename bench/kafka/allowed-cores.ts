import { readFileSync } from "node:fs";

/** Numbers of the cores that this process may use, as Linux counts them; none where it does not say. */
export function allowedCores(): number[] {
  try {
    const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
    return list.split(",").flatMap((range) => {
      const [first = NaN, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, at) => first + at);
    });
  } catch {
    return [];
  }
}
