import { readFileSync, readdirSync } from "node:fs";

/** CPU seconds of this process, its threads and the processes that it started and that still live (Linux; elsewhere its own). */
export function treeCpuSeconds(): number {
  const own = process.cpuUsage();
  return (own.user + own.system) / 1e6 + childrenCpuSeconds(process.pid);
}

/** Clock ticks a second in /proc: 100 on every Linux */
const TICKS = 100;

function childrenCpuSeconds(pid: number): number {
  let sum = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim();
      for (const child of children === "" ? [] : children.split(" ").map(Number)) {
        // The name may hold spaces; the fields after it do not: utime and stime are the 14th and 15th.
        const fields = readFileSync(`/proc/${child}/stat`, "utf8").split(") ").at(-1)!.split(" ");
        sum += (Number(fields[11]) + Number(fields[12])) / TICKS + childrenCpuSeconds(child);
      }
    }
  } catch {
    // No /proc, or a process that ended between two reads.
  }
  return sum;
}
