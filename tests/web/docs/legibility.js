// What of the texts within an element cannot be read: too little contrast (WCAG 2.2, 1.4.3), cut off, or covered.
(root) => {
  // A colour that is just fading into another is none of the page's.
  for (const each of document.getAnimations()) if (each instanceof CSSTransition) each.finish();

  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const over = (top, ground, alpha) => top.map((channel, i) => channel * alpha + ground[i] * (1 - alpha));
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  // The colours of an element and of its ground, from the outermost element inwards.
  const coloursOf = (element) => {
    const line = [];
    for (let each = element; each; each = each.parentElement) line.unshift(getComputedStyle(each));
    let ground = [255, 255, 255];
    let opacity = 1;
    for (const style of line) {
      opacity *= Number(style.opacity);
      const { rgb, alpha } = channels(style.backgroundColor);
      ground = over(rgb, ground, alpha * opacity);
    }
    const { rgb, alpha } = channels(getComputedStyle(element).color);
    return { text: over(rgb, ground, alpha * opacity), ground };
  };
  const shown = (element) =>
    element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length;

  // Whether an element is taken out of the flow and lies on another.
  const liesOn = (top, element) => {
    for (let each = top; each && !each.contains(element); each = each.parentElement)
      if (!element.contains(each) && getComputedStyle(each).position !== "static") return true;
    return false;
  };
  const pen = document.createElement("canvas").getContext("2d");
  const isCut = (select) => {
    const style = getComputedStyle(select);
    pen.font = style.font;
    const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return pen.measureText(select.selectedOptions[0]?.text ?? "").width > room + 1;
  };

  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.data.trim() && shown(node.parentElement) && !node.parentElement.closest("script, style, option, textarea"))
      texts.push({ element: node.parentElement, text: node.data.trim(), node });
  }
  for (const field of root.querySelectorAll("input, select, textarea"))
    if (shown(field)) texts.push({ element: field, text: field.value || field.placeholder });

  const faults = [];
  for (const { element, text, node } of texts) {
    const name = `${element.tagName.toLowerCase()}.${element.className} ${JSON.stringify(text.slice(0, 40))}`;
    const colours = coloursOf(element);
    const ratio = contrast(colours.text, colours.ground);
    if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}:1 ${name}`);
    if (element.matches("select") && isCut(element)) faults.push(`cut off: ${name}`);
    if (!node) continue;
    element.scrollIntoView({ block: "center", inline: "nearest" });
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects())
      for (const share of [0.05, 0.5, 0.95]) {
        const hit = document.elementFromPoint(box.left + share * box.width, box.top + box.height / 2);
        if (hit && liesOn(hit, element)) faults.push(`covered by ${hit.tagName.toLowerCase()}.${hit.className}: ${name}`);
      }
  }
  return [...new Set(faults)];
}
