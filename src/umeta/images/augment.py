"""Knows how to change images without changing what they show, a whole batch in one tensor operation."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from umeta.core.rng import Rng

# Rows: red, green and blue to luma and two color differences (ITU-R BT.601), in which hue is an angle and saturation a length.
LUMA_CHROMA = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@dataclass(frozen=True)
class RandomViews:
    """Draw a view of every image by its own random amounts; what comes in from outside repeats the edge.

    All changes of shape are one resampling. Amounts of 0 leave a change out.

    Attributes:
        rotation_deg: Turn, uniform in plus or minus so many degrees.
        scale: Size is multiplied by a factor uniform in `[1 - scale, 1 + scale]`, for width and height apart.
        shear: Shear factor, uniform in plus or minus so much.
        shift: Shift along each axis, uniform in plus or minus this share of the side.
        crop: Least share of the image's area that a view shows; the share is uniform from there to 1, the place uniform inside.
        flip: Whether half of the views are mirrored left to right.
        warp: Standard deviation of a smooth random displacement of points, as a share of the side.
        warp_knots: Knots of the displacement along each side: more give finer waves.
        stroke: Each view is mixed with one of thicker strokes (3 x 3), by up to this share; the rarer shade is the ink.
        color: Brightness, contrast and, of color images, saturation are multiplied by a factor uniform in `[1 - color, 1 + color]`, and the
            hue is turned by up to `color` quarter turns.
        gray: Share of color views that lose their color.
        blur: Share of views that are blurred (3 x 3 binomial filter, twice).
        drop: Share of the pixels of a view, drawn one by one, that become ground: black where most of the image is dark, else white.
    """

    rotation_deg: float = 15.0
    scale: float = 0.2
    shear: float = 0.2
    shift: float = 0.1
    crop: float = 1.0
    flip: bool = False
    warp: float = 0.0
    warp_knots: int = 6
    stroke: float = 0.0
    color: float = 0.0
    gray: float = 0.0
    blur: float = 0.0
    drop: float = 0.0

    def __call__(self, images: Float[Tensor, "n c h w"], rng: Rng) -> Float[Tensor, "n c h w"]:
        """Return one view of each image, values in `[0, 1]`; view `i` depends on `rng` and `i` alone."""
        views = F.grid_sample(images, self._grid(images, rng.fork("shape")), padding_mode="border", align_corners=False)
        dark = images.mean((1, 2, 3)) < 0.5
        if self.stroke:
            ink = torch.where(dark, 1.0, -1.0)
            views = mix_stroke(views, ink * self.stroke * (_draws(images, 1, rng.fork("stroke"))[:, 0] + 1) / 2)
        if self.color or (self.gray and images.shape[1] == 3):
            views = self._recolored(views, _draws(images, 5, rng.fork("color")))
        if self.blur:
            chosen = _draws(images, 1, rng.fork("blur"))[:, 0] < 2 * self.blur - 1
            views[chosen] = binomial_blur(views[chosen])
        if self.drop:
            chosen = _draws(images, images[0, 0].numel(), rng.fork("drop")) < 2 * self.drop - 1
            views = torch.where(chosen.view(-1, 1, *images.shape[2:]), torch.where(dark, 0.0, 1.0).view(-1, 1, 1, 1), views)
        return views

    def _grid(self, images: Tensor, rng: Rng) -> Float[Tensor, "n h w 2"]:
        """Return where each point of a view comes from, in grid_sample's coordinates from -1 to 1."""
        draws = _draws(images, 9, rng)
        angle = draws[:, 0] * math.radians(self.rotation_deg)
        area = 1 - (1 - self.crop) * (draws[:, 6] + 1) / 2
        zoom = area.sqrt()
        width, height = (1 + self.scale * draws[:, 1]) / zoom, (1 + self.scale * draws[:, 2]) / zoom
        if self.flip:
            width = torch.where(draws[:, 7] < 0, -width, width)
        shear = self.shear * draws[:, 3]
        across, down = (2 * self.shift + 1 - zoom) * draws[:, 4], (2 * self.shift + 1 - zoom) * draws[:, 5]
        cos, sin = angle.cos(), angle.sin()
        rows = (
            torch.stack([cos / width, (shear * cos - sin) / height, across], -1),
            torch.stack([sin / width, (shear * sin + cos) / height, down], -1),
        )
        grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
        if not self.warp:
            return grid
        knots = torch.randn(len(images), 2, self.warp_knots, self.warp_knots, generator=rng.fork("warp").torch()).to(images.device)
        down_basis, across_basis = (spline_basis(side, self.warp_knots).to(images.device) for side in images.shape[-2:])
        field = down_basis @ (2 * self.warp * knots) @ across_basis.T
        return grid + field.permute(0, 2, 3, 1)

    def _recolored(self, views: Tensor, draws: Tensor) -> Tensor:
        bright, contrast, rich = (1 + self.color * draws[:, :3]).T[:, :, None, None, None]
        views = views * bright
        mean = views.mean((1, 2, 3), keepdim=True)
        views = mean + (views - mean) * contrast
        if views.shape[1] == 3:
            views = turn_colors(views, rich.flatten() * (draws[:, 4] >= 2 * self.gray - 1), draws[:, 3] * self.color * math.pi / 2)
        return views.clamp(0, 1)


VIEWS = {
    "affine": RandomViews(),
    "drawings": RandomViews(rotation_deg=20, scale=0.25, shear=0.25, shift=0.06, warp=0.05, stroke=0.8),
    "shifts": RandomViews(rotation_deg=0, scale=0, shear=0, shift=6 / 28, drop=0.5),
    "photos": RandomViews(rotation_deg=0, scale=0.15, shear=0, shift=0, crop=0.25, flip=True, color=0.4, gray=0.2, blur=0.2),
}


def _draws(images: Tensor, n: int, rng: Rng) -> Float[Tensor, "images n"]:
    """Draw `n` numbers in `[-1, 1)` per image."""
    return torch.rand(len(images), n, generator=rng.torch()).mul(2).sub(1).to(images.device)


@cache
def spline_basis(side: int, n_knots: int) -> Float[Tensor, "side n_knots"]:
    """Return the uniform cubic B-splines of `n_knots` knots at the centers of `side` pixels, scaled to unit mean square sum.

    Independent knots of standard deviation s so become a field whose standard deviation is s on average.
    """
    place = (torch.arange(side) + 0.5) / side * (n_knots - 3) + 1
    distance = (place[:, None] - torch.arange(n_knots)).abs()
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance).clamp(min=0) ** 3 / 6
    basis = torch.where(distance < 1, near, far)
    return basis / basis.square().sum(1).mean().sqrt()


def mix_stroke(images: Float[Tensor, "n c h w"], amount: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Mix images with their dilation (positive amounts) or erosion (negative), by the amount's size: bright strokes grow or shrink."""
    share = amount.view(-1, 1, 1, 1)
    sign = torch.where(share < 0, -1.0, 1.0)
    spread = F.max_pool2d(images * sign, 3, stride=1, padding=1) * sign
    return images.lerp(spread, share.abs())


def turn_colors(images: Float[Tensor, "n 3 h w"], saturation: Float[Tensor, " n"], angle: Float[Tensor, " n"]) -> Float[Tensor, "n 3 h w"]:
    """Multiply the saturation of each image and turn its hue by an angle in radians; not clipped."""
    to_luma = torch.tensor(LUMA_CHROMA, device=images.device)
    cos, sin, zero = saturation * angle.cos(), saturation * angle.sin(), torch.zeros_like(angle)
    one = torch.ones_like(angle)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], -1).view(-1, 3, 3)
    changed: Tensor = torch.linalg.inv(to_luma) @ turn @ to_luma @ images.flatten(2)
    return changed.view_as(images)


def binomial_blur(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Blur by the 3 x 3 binomial filter, twice; edges repeat."""
    # Sums of shifted images: a depthwise convolution of three channels takes five times as long on a CPU.
    for _ in range(2):
        out = F.pad(images, (1, 1, 1, 1), mode="replicate")
        out = out[..., :-2] + 2 * out[..., 1:-1] + out[..., 2:]
        images = (out[..., :-2, :] + 2 * out[..., 1:-1, :] + out[..., 2:, :]) / 16
    return images
