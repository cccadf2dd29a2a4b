//! The special functions that the tests stand on: normal, gamma and beta distributions, in logarithms where they run small.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// Complementary error function, relative error below 1.2e-7 everywhere (Numerical Recipes, `erfcc`).
fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let series = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let exponent = series.iter().fold(0.0, |sum, c| sum * t + c) - x * x;
    let tail = t * exponent.exp();
    if x >= 0.0 { tail } else { 2.0 - tail }
}

/// P(Z ≤ z) of the standard normal distribution.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// ln P(Z ≤ z), without underflow far below zero.
pub fn ln_normal_cdf(z: f64) -> f64 {
    if z > -8.0 {
        return normal_cdf(z).ln();
    }
    // Mills' ratio, three terms: relative error below 1e-4 from −8 on.
    let s = 1.0 / (z * z);
    -0.5 * z * z - (-z).ln() - 0.5 * (2.0 * PI).ln() + (s * (-1.0 + 3.0 * s)).ln_1p()
}

/// The z with P(Z ≤ z) = p (Acklam's rational approximation, relative error below 1.2e-9); infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    let horner = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |q: f64| {
        horner(
            &[
                -7.784894002430293e-3,
                -0.3223964580411365,
                -2.400758277161838,
                -2.549732539343734,
                4.374664141464968,
                2.938163982698783,
            ],
            q,
        ) / horner(&[7.784695709041462e-3, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0], q)
    };
    match p {
        p if p <= 0.0 || p.is_nan() => f64::NEG_INFINITY,
        p if p >= 1.0 => f64::INFINITY,
        p if p < 0.02425 => tail((-2.0 * p.ln()).sqrt()),
        p if p > 1.0 - 0.02425 => -tail((-2.0 * (1.0 - p).ln()).sqrt()),
        p => {
            let (q, r) = (p - 0.5, (p - 0.5) * (p - 0.5));
            q * horner(
                &[
                    -39.69683028665376,
                    220.9460984245205,
                    -275.9285104469687,
                    138.357_751_867_269,
                    -30.66479806614716,
                    2.506628277459239,
                ],
                r,
            ) / horner(
                &[
                    -54.47609879822406,
                    161.5858368580409,
                    -155.6989798598866,
                    66.80131188771972,
                    -13.28068155288572,
                    1.0,
                ],
                r,
            )
        }
    }
}

/// ln Γ(x) for x > 0 (Lanczos, g = 7, nine terms).
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C.iter().enumerate().skip(1).fold(C[0], |sum, (i, c)| sum + c / (x + i as f64));
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// ln B(a, b).
pub fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// P(X > x) of the chi-square distribution.
pub fn chi_square_tail(x: f64, degrees: f64) -> f64 {
    if x <= 0.0 || degrees <= 0.0 {
        return 1.0;
    }
    let (a, x) = (degrees / 2.0, x / 2.0);
    let front = a * x.ln() - x - ln_gamma(a);
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-15 {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return 1.0 - (front + sum.ln()).exp();
    }
    // Lentz's continued fraction of the upper part.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut h = d;
    for i in 1..500 {
        let k = -f64::from(i) * (f64::from(i) - a);
        b += 2.0;
        d = 1.0 / (k * d + b);
        c = b + k / c;
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front + h.ln()).exp()
}

/// ln P(X > x) of the beta distribution.
pub fn ln_beta_tail(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return f64::NEG_INFINITY;
    }
    // Lentz's continued fraction converges fast on the side of the mean that is asked; the other side is the complement.
    let fraction = |x: f64, a: f64, b: f64| {
        let mut d = 1.0 / (1.0 - (a + b) * x / (a + 1.0));
        let (mut c, mut h) = (1.0, d);
        for m in 1..2_000 {
            let m = f64::from(m);
            let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
            d = 1.0 / (1.0 + even * d);
            c = 1.0 + even / c;
            h *= d * c;
            let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
            d = 1.0 / (1.0 + odd * d);
            c = 1.0 + odd / c;
            h *= d * c;
            if (d * c - 1.0).abs() < 1e-14 {
                break;
            }
        }
        h
    };
    let front = a * x.ln() + b * (1.0 - x).ln() - ln_beta(a, b);
    if x > (a + 1.0) / (a + b + 2.0) {
        front + (fraction(1.0 - x, b, a) / b).ln()
    } else {
        (-(front + (fraction(x, a, b) / a).ln()).exp().min(1.0)).ln_1p()
    }
}

/// ln(eᵃ + eᵇ).
pub fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// ln((eᵃ + eᵇ) / 2): the even mixture of two e-values.
pub fn ln_mean(a: f64, b: f64) -> f64 {
    ln_add(a, b) - LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, by: f64) {
        assert!((a - b).abs() <= by * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn the_functions_agree_with_printed_tables() {
        near(normal_cdf(1.959_964), 0.975, 1e-6);
        near(normal_quantile(0.975), 1.959_964, 1e-6);
        near(normal_quantile(0.001), -3.090_232, 1e-6);
        near(ln_normal_cdf(-10.0), -53.231_285, 1e-5);
        near(ln_normal_cdf(-7.999), ln_normal_cdf(-8.001), 1e-3);
        near(ln_gamma(10.0), 362_880f64.ln(), 1e-12);
        near(chi_square_tail(3.841_459, 1.0), 0.05, 1e-6);
        near(chi_square_tail(0.5, 4.0), 0.973_501, 1e-5);
        near(ln_beta_tail(0.3, 2.0, 3.0).exp(), 0.6517, 1e-6);
        near(ln_beta_tail(0.9, 2.0, 3.0).exp(), 0.0037, 1e-6);
        near(ln_mean(2f64.ln(), 4f64.ln()), 3f64.ln(), 1e-12);
    }
}
