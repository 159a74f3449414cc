import { classNumber } from "../../schemas/class-names.js";
import type { AskedClass } from "../../schemas/api/shared.js";
import { Refusal } from "./refusal.js";

interface Labelled {
  readonly label: string;
}

/** The place of the class that is asked for among some, by its number or its name; -1 where none of them is it. Throws 400 where several are called so. */
export function placeOfClass(classes: readonly Labelled[], asked: AskedClass): number {
  if (typeof asked === "number") return asked < classes.length ? asked : -1;
  const name = asked.slice("name:".length);
  const first = classes.findIndex(({ label }) => label === name);
  if (first < 0) return classNumber(name, classes.length) ?? -1;
  const next = classes.findIndex(({ label }, at) => at > first && label === name);
  if (next < 0) return first;
  throw new Refusal(
    400,
    "E_SELECTION",
    `Expected a name of one class, found "${shown(name)}", which classes ${first} and ${next} are called. Ask by number: name:#${first}.`,
    { field: "class" },
  );
}

/** The same; throws 404 where none of them is it. `where`: of what they are, for people. */
export function askedClass(classes: readonly Labelled[], asked: AskedClass, where = ""): number {
  const place = placeOfClass(classes, asked);
  if (place >= 0) return place;
  const range = `${where}, from 0 to ${classes.length - 1}`;
  const found = typeof asked === "number" ? String(asked) : `none that is called "${shown(asked.slice(5))}"`;
  throw new Refusal(404, "E_USAGE", `Expected a class${range}, found ${found}.`, { field: "class" });
}

const shown = (name: string): string => name.slice(0, 100);
