import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openSharpDecoder } from "../../../../connectors/decoder/libvips/libvips-decoder.js";
import { planDecode } from "../../../../operators/image/decode-plan.js";
import { view } from "../../../conformance/decoder.js";
import { ways } from "../ways.js";

const SIDE = 16;

/** Lossless JPEG (SOF3) of 16 x 16 px, by libjpeg-turbo 3; Pillow 13 reads the same pixels from them. */
const FILES = {
  rgb: "/9j/7gAOQWRvYmUAZAAAAAAA/8MAEQgAEAAQA1IRAEcRAEIRAP/EABoAAQEBAQEBAQAAAAAAAAAAAAIFBAMAAQj/2gAMA1IARwBCAAEAAPz/APn/APP9B+oP1B+oP1B+oP1B+oP1B+oP1B+oP1B+oP1B++6/UH9oP7Qf2g/tB/aD+0H9oP7Qf2g/tB/aD+0H9oP7Qf37r9QaoNUGqDVBqg1QaoNUGqDVBqg1QaoNUGvuv1Bug3QboN0G6DdBug3QboN0G6DdBug3Qb+6/UH0oPpQfSg+lB9KD6UH0oPpQfSg+lB9KD6UH0oPpQfT7r9QfWg+tB9aD60H1oPrQfWg+tB9aD60H1oPrQfWg+tB9fuv1B9qD7UH2oPtQfag+1B9qD7UH2oPtQfag+1B9qD7UH2+6/UH3oPvQfeg+9B96D70H3oPvQfeg+9B96D70H3oPvQff7r9Qeig9FB6KD0UHooPRQeig9FB6KD0UHooPRQeig9FB6Puv1B6aD00HpoPTQemg9NB6aD00HpoPTQemg9NB6aD00Hp+6/UHqoPVQeqg9VB6qD1UHqoPVQeqg9VB6qD1UHqoPVQer7r9Qeug9dB66D10HroPXQeug9dB66D10HroPXQeug9dB6/uv1B7KD2UHsoPZQeyg9lB7KD2UHsoPZQeyg9lB7KD2UHs+6/UHtoPbQe2g9tB7aD20HtoPbQe2g9tB7aD20HtoPbQe37r9Qe6g91B7qD3UHuoPdQe6g91B7qD3UHuoPdQe6g91B7vuv1B76D30HvoPfQe+g99B76D30HvoPfQe+g99B76D30Hv8A/9k=",
  grey: "/9j/4AAQSkZJRgABAQAAAQABAAD/wwALCAAQABABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABQEI/9oACAEBAAEAAM/oIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBCoIIIIIIIIIIIIIIVBBBBBBBBBBBBBBD/2Q==",
} as const;

/** What was packed, [SIDE x SIDE x 3] */
function packed(kind: keyof typeof FILES): number[] {
  return Array.from({ length: SIDE * SIDE }, (_, at) => {
    const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
    const red = (16 * x + y) % 256;
    return kind === "grey" ? [red, red, red] : [red, (11 * y + 3 * x) % 256, (x * y) % 256];
  }).flat();
}

for (const way of ways) {
  describe(`a lossless JPEG: ${way.name}`, { skip: way.skip }, () => {
    for (const kind of ["rgb", "grey"] as const) {
      test(`${kind}: the pixels that were packed`, async () => {
        const decoder = openSharpDecoder({ turbojpeg: way.turbojpeg });
        const bytes = Buffer.from(FILES[kind], "base64");
        const header = await decoder.header(bytes);
        const plan = planDecode(header, view(SIDE, SIDE, {}, { mode: "stretch", shrinkOnLoad: false }));
        const { pixels, notes } = await decoder.decode(bytes, header, plan);
        assert.deepEqual([...pixels], packed(kind));
        assert.deepEqual(notes, []);
      });
    }
  });
}
