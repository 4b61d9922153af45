/** Frames around the faces of the open picture, at its current size. */
import type { Face } from './picture.ts'

/** The part of a PhotoSwipe slide that is needed here. */
interface Slide {
  container: HTMLElement
  content: { element?: HTMLElement | undefined }
}

export function drawFaces({ container, content }: Slide, faces: Face[]): void {
  container.querySelector('.faces')?.remove()
  const image = content.element
  if (!faces.length || !image) return
  const layer = document.createElement('div')
  layer.className = 'faces'
  layer.style.width = image.style.width || `${image.clientWidth}px`
  layer.style.height = image.style.height || `${image.clientHeight}px`
  layer.append(...faces.map(frame))
  container.append(layer)
}

/** What a face is called. */
export function faceName({ label, confidence }: Pick<Face, 'label' | 'confidence'>): string {
  return label || `Face, ${Math.round(confidence * 100)} % sure`
}

function frame(face: Face): HTMLElement {
  const element = document.createElement('div')
  element.dataset.testid = 'face'
  element.title = faceName(face)
  element.role = 'img'
  element.ariaLabel = faceName(face)
  Object.assign(element.style, { left: percent(face.x), top: percent(face.y), width: percent(face.width), height: percent(face.height) })
  return element
}

function percent(part: number): string {
  return `${part * 100}%`
}
