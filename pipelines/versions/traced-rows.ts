import type { ChosenRows, Cut } from "../../schemas/chosen-rows.js";
import type { TracedImage } from "../../schemas/trace.js";
import type { PlaceInVersion } from "../flow/traced-images.js";

/** Sees where traced images stand among the rows of a cut, as these go by. */
export class TracedRows {
  readonly #images: readonly TracedImage[];
  /** By `partition/offset` */
  readonly #places = new Map<string, PlaceInVersion>();

  constructor(images: readonly TracedImage[]) {
    this.#images = images;
    for (const { partition, offset } of images) this.#places.set(`${partition}/${offset}`, null);
  }

  /** The same cut, its rows looked at on their way; of no traced images, the cut itself. */
  of(cut: Cut): Cut {
    return this.#images.length === 0 ? cut : { ...cut, classes: this.#seeing(cut.classes) };
  }

  found(): { readonly image: TracedImage; readonly place: PlaceInVersion }[] {
    return this.#images.map((image) => ({
      image,
      place: this.#places.get(`${image.partition}/${image.offset}`) ?? null,
    }));
  }

  async *#seeing(classes: AsyncIterable<ChosenRows>): AsyncGenerator<ChosenRows, void, undefined> {
    for await (const rows of classes) {
      for (let row = 0; row < rows.count; row++) {
        const place = `${rows.partition[row]!}/${rows.offset[row]!}`;
        // Of an image in several classes the first is told.
        if (this.#places.get(place) === null) this.#places.set(place, { label: rows.class, rank: row + 1 });
      }
      yield rows;
    }
  }
}
