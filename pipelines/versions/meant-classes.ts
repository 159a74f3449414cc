import type { Store } from "../../connectors/store/store.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { selectedClasses, type ClassMap } from "../../operators/select/class-map.js";
import { numbersNamed } from "../../operators/select/retractions.js";
import { uniqueName, type ClassNames } from "../../schemas/class-names.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";

type NamingLabel = Extract<ImageLabel, { class: string }>;

/**
 * Which of a version's classes people mean by what they say of an image: by the teacher's numbers, whatever its classes were called when the version was
 * made, or when it was said. A class that stands for several of the teacher's is meant by any of them.
 */
export class MeantClasses {
  readonly #map: ClassMap;
  readonly #names: ClassNames;

  constructor({ select, teacher }: Pick<Manifest, "select" | "teacher">, present: ClassNames | undefined) {
    this.#map = selectedClasses(select, teacher);
    const { labels, formerLabels = [] }: ClassNames = present ?? teacher;
    this.#names = { labels, formerLabels: [...formerLabels, teacher.labels] };
  }

  static async of(store: Store, manifest: Manifest): Promise<MeantClasses> {
    return new MeantClasses(manifest, (await readCards(store)).get(manifest.teacher.digest));
  }

  /** What a label names a version's class by: as the teacher's class is called now or, where it stands for several, by its own name. */
  nameOf(classIndex: number): string {
    const [number, ...more] = this.#map.members[classIndex]!;
    return number === undefined || more.length > 0
      ? this.#map.labels[classIndex]!
      : uniqueName(this.#names.labels, number);
  }

  /** The version's classes that a label's class is, or is a part of. */
  namedBy(label: NamingLabel): ReadonlySet<number> {
    return new Set(
      this.#numbersOf(label)
        .map((number) => this.#map.classOf[number]!)
        .filter((index) => index >= 0),
    );
  }

  /** Whether a label alone takes an image out of a class. */
  takesOut(label: ImageLabel, classIndex: number): boolean {
    if (label.verdict === "is") return !this.#isMeant(label, classIndex);
    if (label.verdict === "not") return this.#isDenied([label], classIndex);
    return label.verdict === "none" || label.verdict === "duplicate";
  }

  /** Whether people said that an image is of a class; null where what they said, in its order, does not tell. */
  isRight(labels: readonly ImageLabel[] | undefined, classIndex: number): boolean | null {
    let is: NamingLabel | null = null;
    let isNone = false;
    let not: NamingLabel[] = [];
    for (const label of labels ?? []) {
      if (label.verdict === "not") not.push(label);
      else {
        is = label.verdict === "is" ? label : null;
        isNone = label.verdict === "none";
        not = [];
      }
    }
    if (isNone) return false;
    if (this.#isDenied(not, classIndex)) return false;
    return is === null ? null : this.#isMeant(is, classIndex);
  }

  #isMeant(label: NamingLabel, classIndex: number): boolean {
    return this.#numbersOf(label).some((number) => this.#map.classOf[number] === classIndex);
  }

  /** Whether all that a class stands for is said not to be it, or the class itself by its name. */
  #isDenied(labels: readonly NamingLabel[], classIndex: number): boolean {
    const denied = new Set(labels.flatMap((label) => this.#numbersOf(label)));
    const members = this.#map.members[classIndex] ?? [];
    if (members.length > 0 && members.every((member) => denied.has(member))) return true;
    return members.length > 1 && labels.some((label) => label.class === this.#map.labels[classIndex]);
  }

  #numbersOf(label: NamingLabel): number[] {
    return numbersNamed(label, this.#map, this.#names);
  }
}
