import { counted } from "../../schemas/counted.js";
import { picturePage, type PageLine } from "../versions/picture-page.js";
import { picturesOf, type PictureOptions } from "../versions/version-pictures.js";
import type { ChangedImage, TeacherComparison } from "./compare-teachers.js";

/** Classes on a page, those that changed most: it stays some 10 MB */
const CLASSES_SHOWN = 40;

interface Names {
  readonly first: string;
  readonly second: string;
  readonly labels: readonly string[];
}

/** What two teachers see otherwise, as one page: a sheet of what came and one of what went, a class. */
export async function comparisonPage(
  { both, same, classes }: TeacherComparison,
  { first, second, labels }: Names,
  options: PictureOptions,
): Promise<string> {
  const changed = classes
    .map((one, at) => ({ ...one, label: labels[at]! }))
    .filter(({ came, went }) => came.length + went.length > 0)
    .sort((a, b) => b.first + b.second - 2 * b.both - (a.first + a.second - 2 * a.both))
    .slice(0, CLASSES_SHOWN);
  const images = changed.flatMap(({ came, went }) => [...came, ...went]);
  const pictures = await picturesOf(images, options);
  const lineOf = (name: string, total: number, shown: readonly ChangedImage[], other: string): PageLine => ({
    name,
    total,
    cells: shown.map(({ sha256, probability, other: index }) => ({
      sha256,
      caption: probability.toPrecision(4),
      because: `${other}: ${labels[index] ?? String(index)}`,
    })),
  });
  return picturePage(
    {
      title: `${first} and ${second}`,
      lead: [
        `Both have scored ${counted(both, "record")}; they agree on the best class of ${same}.`,
        `Of the ${counted(changed.length, "class", "classes")} that changed most, the images of which they are surest.`,
      ],
      sections: changed.map((one) => ({
        title: one.label,
        lead: `${one.first} by ${first}, ${one.second} by ${second}, ${one.both} by both`,
        lines: [
          lineOf("Came", one.second - one.both, one.came, first),
          lineOf("Went", one.first - one.both, one.went, second),
        ],
      })),
    },
    pictures,
  );
}
