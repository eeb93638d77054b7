"use strict";

// Splats drawn by the processor, for browsers without a graphics card: the rasterizer's own formulas (Kerbl et al. 2023),
// nearest first, so that what lies behind costs next to nothing. A software GL blends all of it, and takes ten times as long.

const BLUR = 0.3; // square pixels, as the rasterizer adds to the variances
const FAINTEST = 1 / 255; // of a Gaussian in a pixel
const CLOSED = 1 / 255; // less light than this of what lies behind is not seen
const NEAREST = 0.01;
const DEPTHS = 65536;
const EXP_STEPS = 256; // of the table, for an exponent of one
const LARGEST_EXPONENT = Math.ceil(Math.log(255)) + 1;
const EXP = Float32Array.from({ length: LARGEST_EXPONENT * EXP_STEPS }, (_, k) => Math.exp(-k / EXP_STEPS));
const RECORD = 9; // of a splat in the picture: centre (2), conic (3), exponent at its rim, half its height, depth, number

// Centres, covariances (xx, xy, xz, yy, yz, zz), colours and opacities in the world, of a SplatMesh of Spark.
function worldSplats(mesh) {
  const count = mesh.packedSplats.numSplats;
  const splats = { count, centers: new Float32Array(3 * count), covariances: new Float32Array(6 * count), colors: new Float32Array(3 * count), opacities: new Float32Array(count) };
  const turned = mesh.matrix.clone();
  mesh.forEachSplat((index, center, scales, quaternion, opacity, color) => {
    const e = turned.compose(center, quaternion, scales).premultiply(mesh.matrixWorld).elements;
    const product = (i, j) => e[i] * e[j] + e[4 + i] * e[4 + j] + e[8 + i] * e[8 + j];
    splats.centers.set([e[12], e[13], e[14]], 3 * index);
    splats.covariances.set([product(0, 0), product(0, 1), product(0, 2), product(1, 1), product(1, 2), product(2, 2)], 6 * index);
    splats.colors.set([color.r, color.g, color.b], 3 * index);
    splats.opacities[index] = opacity;
  });
  return splats;
}

class ProcessorDrawing {
  constructor(splats) {
    this.splats = splats;
    this.domElement = document.createElement("canvas");
    this.records = new Float64Array(RECORD * splats.count);
    this.order = new Uint32Array(splats.count);
    this.setSize(1); // a canvas is wider at first
  }

  setSize(size) {
    if (this.domElement.width === size) return;
    Object.assign(this.domElement, { width: size, height: size });
    this.context = this.domElement.getContext("2d");
    this.pixels = new ImageData(size, size);
    this.light = new Float32Array(3 * size * size); // red, green, blue so far
    this.behind = new Float32Array(size * size); // the share of what lies behind that is still seen
  }

  render(camera) {
    camera.updateMatrixWorld();
    const shown = this.project(camera.matrixWorldInverse.elements, camera.fov);
    this.sort(shown);
    const { light, behind, pixels } = this;
    light.fill(0);
    behind.fill(1);
    for (let rank = 0; rank < shown; rank += 1) this.blend(RECORD * this.order[rank]);
    for (let at = 0; at < behind.length; at += 1) {
      for (let channel = 0; channel < 3; channel += 1) pixels.data[4 * at + channel] = 255 * (light[3 * at + channel] + behind[at]);
      pixels.data[4 * at + 3] = 255;
    }
    this.context.putImageData(pixels, 0, 0);
  }

  // Ellipses in the picture, as records; how many. `v` is the world-to-camera matrix by columns, looking along -z.
  project(v, fovDeg) {
    const { centers, covariances, opacities, count } = this.splats;
    const { records } = this;
    const size = this.domElement.width;
    const focal = (0.5 * size) / Math.tan((fovDeg * Math.PI) / 360);
    const farthestOut = (1.4 * 0.5 * size) / focal; // what lies outside of the picture is not a small ellipse any more
    let shown = 0;
    for (let index = 0; index < count; index += 1) {
      const rim = Math.log(opacities[index] / FAINTEST);
      const [x, y, z] = [centers[3 * index], centers[3 * index + 1], centers[3 * index + 2]];
      const depth = -(v[2] * x + v[6] * y + v[10] * z + v[14]);
      const right = (v[0] * x + v[4] * y + v[8] * z + v[12]) / depth;
      const up = (v[1] * x + v[5] * y + v[9] * z + v[13]) / depth;
      if (!(rim > 0) || depth < NEAREST || Math.abs(right) > farthestOut || Math.abs(up) > farthestOut) continue;
      const scale = focal / depth;
      const [a0, a1, a2] = [scale * (v[0] + right * v[2]), scale * (v[4] + right * v[6]), scale * (v[8] + right * v[10])];
      const [b0, b1, b2] = [-scale * (v[1] + up * v[2]), -scale * (v[5] + up * v[6]), -scale * (v[9] + up * v[10])];
      const at = 6 * index;
      const [xx, xy, xz, yy, yz, zz] = [covariances[at], covariances[at + 1], covariances[at + 2], covariances[at + 3], covariances[at + 4], covariances[at + 5]];
      const [s0, s1, s2] = [xx * a0 + xy * a1 + xz * a2, xy * a0 + yy * a1 + yz * a2, xz * a0 + yz * a1 + zz * a2];
      const a = s0 * a0 + s1 * a1 + s2 * a2 + BLUR;
      const b = s0 * b0 + s1 * b1 + s2 * b2;
      const c = b0 * (xx * b0 + xy * b1 + xz * b2) + b1 * (xy * b0 + yy * b1 + yz * b2) + b2 * (xz * b0 + yz * b1 + zz * b2) + BLUR;
      const determinant = a * c - b * b;
      const record = RECORD * shown;
      records[record] = size / 2 + focal * right;
      records[record + 1] = size / 2 - focal * up;
      records[record + 2] = c / determinant;
      records[record + 3] = -b / determinant;
      records[record + 4] = a / determinant;
      records[record + 5] = rim;
      records[record + 6] = Math.sqrt(2 * rim * c);
      records[record + 7] = depth;
      records[record + 8] = index;
      shown += 1;
    }
    return shown;
  }

  // Fills `order` with the records' numbers, nearest first: a counting sort.
  sort(shown) {
    const { records, order } = this;
    let [nearest, farthest] = [Infinity, -Infinity];
    for (let number = 0; number < shown; number += 1) {
      const depth = records[RECORD * number + 7];
      nearest = Math.min(nearest, depth);
      farthest = Math.max(farthest, depth);
    }
    const step = (DEPTHS - 1) / Math.max(farthest - nearest, 1e-9);
    const places = new Uint32Array(DEPTHS + 1);
    const keyOf = (number) => Math.floor((records[RECORD * number + 7] - nearest) * step);
    for (let number = 0; number < shown; number += 1) places[keyOf(number) + 1] += 1;
    for (let key = 0; key < DEPTHS; key += 1) places[key + 1] += places[key];
    for (let number = 0; number < shown; number += 1) order[places[keyOf(number)]++] = number;
  }

  blend(record) {
    const { records, light, behind } = this;
    const size = this.domElement.width;
    const [x, y, a, b, c] = [records[record], records[record + 1], records[record + 2], records[record + 3], records[record + 4]];
    const [rim, reach, index] = [records[record + 5], records[record + 6], records[record + 8]];
    const opacity = this.splats.opacities[index];
    const [red, green, blue] = [this.splats.colors[3 * index], this.splats.colors[3 * index + 1], this.splats.colors[3 * index + 2]];
    const lastRow = Math.min(size - 1, Math.floor(y + reach - 0.5));
    for (let row = Math.max(0, Math.ceil(y - reach - 0.5)); row <= lastRow; row += 1) {
      // Where a dx^2 + 2 b dx dy + c dy^2 is at most twice the rim's exponent.
      const dy = row + 0.5 - y;
      const middle = (-b / a) * dy;
      const half = Math.sqrt(Math.max(0, (2 * rim - (c - (b * b) / a) * dy * dy) / a));
      const last = Math.min(size - 1, Math.floor(x + middle + half - 0.5));
      const column = Math.max(0, Math.ceil(x + middle - half - 0.5));
      const first = column + 0.5 - x;
      // The exponent is quadratic along the row: two additions a pixel, in steps of the table.
      let exponent = EXP_STEPS * (0.5 * (a * first * first + c * dy * dy) + b * first * dy) + 0.5;
      let growth = EXP_STEPS * (a * (first + 0.5) + b * dy);
      const curve = EXP_STEPS * a;
      const end = row * size + last;
      for (let at = row * size + column; at <= end; at += 1, exponent += growth, growth += curve) {
        const left = behind[at];
        if (left < CLOSED) continue;
        const weight = left * opacity * EXP[exponent | 0];
        behind[at] = left - weight;
        light[3 * at] += weight * red;
        light[3 * at + 1] += weight * green;
        light[3 * at + 2] += weight * blue;
      }
    }
  }
}
