/**
 * Drawing in place: shapes become the children of an element, and what stays the same is not touched.
 *
 * A shape is `{key, tag, attributes, text}` or has `children` instead of a text.
 */

/** What was drawn into which element, by the keys of the shapes. */
const drawn = new WeakMap();

/** Make the children of `parent` these shapes; an element whose key stays is kept, and only what differs is touched. */
export function patch(parent, shapes) {
  const before = drawn.get(parent) ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const shape of shapes) {
    const node = before.get(shape.key) ?? document.createElementNS(parent.namespaceURI, shape.tag);
    dress(node, shape);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    before.delete(shape.key);
    after.set(shape.key, node);
  }
  for (const node of before.values()) node.remove();
  drawn.set(parent, after);
}

function dress(node, { attributes = {}, text, children }) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  if (children) patch(node, children);
  else write(node, text ?? "");
}

export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function reveal(node, text) {
  write(node, text);
  node.hidden = !text;
}

export const item = (key, tag, text, attributes) => ({ key, tag, text, attributes });
